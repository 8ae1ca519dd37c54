"""The sandbox's own addresses: credentials, ledger, truth, faults, webhooks, clock, health."""

from __future__ import annotations

from collections import deque
from typing import Any

import orjson

from providers.sandbox.chance import iso, parse_time
from providers.sandbox.contacts import phone_key
from providers.sandbox.state import Sandbox
from providers.sandbox.webhooks import KINDS
from providers.sandbox.wire import Json, Refusal, Reply, Request, Router, reply

_REQUESTS_KEPT = 200_000


def _bad(message: str) -> Refusal:
    return Refusal(reply({"error": message}, 422))


class Control:
    """Handlers below ``/_``. They need no credentials: whoever reaches them may use them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.requests: deque[Json] = deque(maxlen=_REQUESTS_KEPT)
        self.counted = 0

    def routes(self, router: Router) -> None:
        """Registers the handlers."""
        router.add("GET", "/_health", self.health)
        router.add("GET", "/_credentials", self.credentials)
        router.add("GET", "/_ledger/messages", self.ledger_messages)
        router.add("GET", "/_ledger/requests", self.ledger_requests)
        router.add("GET", "/_truth/contacts", self.truth_contacts)
        router.add("GET", "/_truth/propensities", self.truth_propensities)
        router.add("GET", "/_faults", self.list_faults)
        router.add("POST", "/_faults", self.add_fault)
        router.add("DELETE", "/_faults", self.clear_faults)
        router.add("GET", "/_webhooks", self.list_webhooks)
        router.add("POST", "/_webhooks", self.set_webhook)
        router.add("POST", "/_clock", self.move_clock)
        router.add("POST", "/_people/text", self.person_texts)

    def record(self, request_line: Json) -> None:
        """Adds a line to the ledger of requests."""
        self.counted += 1
        self.requests.append({"seq": self.counted, **request_line})

    def health(self, _request: Request) -> Reply:
        """Answers once the sandbox is ready."""
        sandbox = self._sandbox
        return reply(
            {
                "status": "ok",
                "simulated": True,
                "seed": sandbox.seed,
                "contacts": sandbox.contacts,
                "anchor": sandbox.anchor.isoformat(),
                "now": iso(sandbox.now()),
                "webhooks_pending": sandbox.webhooks.pending,
            }
        )

    def credentials(self, _request: Request) -> Reply:
        """Made-up credentials of the simulated accounts."""
        return reply(self._sandbox.credentials)

    def ledger_messages(self, request: Request) -> Reply:
        """Every SMS and email accepted, in order; ``?after=SEQ`` for what came later."""
        after = _number(request, "after", 0)
        limit = _number(request, "limit", 2**53)
        return reply(self._sandbox.ledger[after : after + limit])

    def ledger_requests(self, request: Request) -> Reply:
        """The last 200,000 requests to the providers since the start, in order."""
        after = _number(request, "after", 0)
        limit = _number(request, "limit", 2**53)
        kept = list(self.requests)
        start = max(0, after - (self.counted - len(kept)))
        return reply(kept[start : start + limit])

    def truth_contacts(self, _request: Request) -> Reply:
        """Every living contact with what the providers know of its consent and opt-outs."""
        sandbox = self._sandbox
        keys = {f["id"]: f["fieldKey"].removeprefix("contact.") for f in sandbox.custom_fields}
        out_of_sms: dict[str, list[Json]] = {}
        for (number, person), at in sandbox.twilio.opted_out.items():
            out_of_sms.setdefault(phone_key(person), []).append({"number": number, "at": at})
        lists = sandbox.sendgrid.lists
        return reply(
            [
                _truth(contact.doc, keys, out_of_sms, lists)
                for contact in sandbox.crm.contacts.by_id.values()
            ]
        )

    def truth_propensities(self, request: Request) -> Reply:
        """The true probability of the label by contact id, as the simulation defines it."""
        text = request.query.get("as_of")
        try:
            as_of = parse_time(text) if text else self._sandbox.now()
        except ValueError:
            raise _bad(f"as_of={text!r} is not an ISO 8601 time") from None
        return reply(self._sandbox.brokerage.truth.propensities(as_of))

    def list_faults(self, _request: Request) -> Reply:
        """The standing faults."""
        return reply([_fault(f) for f in self._sandbox.faults.active])

    def add_fault(self, request: Request) -> Reply:
        """Sets a fault, or each of a list."""
        orders = _body(request)
        try:
            made = [
                self._sandbox.faults.add(order)
                for order in (orders if isinstance(orders, list) else [orders])
            ]
        except (ValueError, AttributeError, TypeError) as error:
            raise _bad(str(error)) from None
        answers = [_fault(f) for f in made]
        return reply(answers if isinstance(orders, list) else answers[0], 201)

    def clear_faults(self, _request: Request) -> Reply:
        """Removes every fault."""
        self._sandbox.faults.clear()
        return Reply(204, b"")

    def list_webhooks(self, _request: Request) -> Reply:
        """Where webhooks are posted to."""
        return reply(self._sandbox.webhooks.urls)

    def set_webhook(self, request: Request) -> Reply:
        """Sets the address of one provider's webhooks; ``"url": null`` removes it."""
        order = _body(request)
        provider = order.get("provider") if isinstance(order, dict) else None
        if provider not in KINDS:
            raise _bad(f"provider {provider!r} is none of {', '.join(KINDS)}")
        url = order.get("url")
        if url is not None and not str(url).startswith(("http://", "https://")):
            raise _bad(f"url {url!r} does not start with http:// or https://")
        self._sandbox.commit("webhook", {"provider": provider, "url": url})
        return reply({"provider": provider, "url": url}, 201)

    def move_clock(self, request: Request) -> Reply:
        """Moves the sandbox's time forward, so that replies and opens need no waiting."""
        seconds = _body(request).get("advance_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise _bad(f"advance_seconds {seconds!r} is not a number from 0 up")
        self._sandbox.commit("clock", {"seconds": seconds})
        self._sandbox.advance()
        return reply({"now": iso(self._sandbox.now())})

    def person_texts(self, request: Request) -> Reply:
        """Lets a simulated person text one of our numbers: ``{"from", "to", "body"}``."""
        order = _body(request)
        if not all(isinstance(order.get(k), str) and order[k] for k in ("from", "to", "body")):
            raise _bad("from, to and body must be texts")
        if order["to"] not in self._sandbox.twilio.numbers:
            raise _bad(f"to {order['to']!r} is none of our numbers")
        data = {k: order[k] for k in ("from", "to", "body")}
        message = self._sandbox.commit(
            "twilio.inbound", {"sid": self._sandbox.twilio.new_sid(), **data}
        )
        return reply(message, 201)


def _truth(doc: Json, keys: Json, opted_out: dict[str, list[Json]], lists: Json) -> Json:
    entries = doc.get("customFields")
    entries = entries if isinstance(entries, list) else []
    custom = {keys.get(entry["id"], entry["id"]): entry.get("value") for entry in entries}
    phone, email = doc.get("phone"), (doc.get("email") or "").lower()
    settings = doc.get("dndSettings") or {}
    return {
        "id": doc["id"],
        "location_id": doc["locationId"],
        "first_name": doc.get("firstName"),
        "last_name": doc.get("lastName"),
        "phone": phone,
        "email": doc.get("email"),
        "dnd": bool(doc.get("dnd")),
        "dnd_channels": sorted(
            channel
            for channel, setting in settings.items()
            if (setting or {}).get("status") in ("active", "permanent")
        ),
        "sms_consent": custom.get("sms_consent"),
        "email_consent": custom.get("email_consent"),
        "consent_at": custom.get("consent_at"),
        "opted_out_sms": opted_out.get(phone_key(phone or ""), []),
        "email_suppressed": sorted(kind for kind, entries in lists.items() if email in entries),
        "tags": doc.get("tags") or [],
        "custom_fields": custom,
        "date_added": doc.get("dateAdded"),
        "date_updated": doc.get("dateUpdated"),
    }


def _fault(fault: Any) -> Json:
    return {
        name: getattr(fault, name)
        for name in ("id", "provider", "kind", "rate", "value", "method", "path", "after_work")
    }


def _body(request: Request) -> Any:
    try:
        return request.json()
    except orjson.JSONDecodeError:
        raise _bad("the body is not JSON") from None


def _number(request: Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isdigit():
        raise _bad(f"{name}={text!r} is not a whole number from 0 up")
    return int(text)
