"""The simulated SendGrid account: emails, what became of them, and the suppression lists."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from providers.sandbox import people
from providers.sandbox.chance import digest, iso, letters_id
from providers.sandbox.wire import Json

if TYPE_CHECKING:
    from providers.sandbox.state import Sandbox

KINDS = ("bounces", "blocks", "spam_reports", "invalid_emails", "unsubscribes")
# Which list makes SendGrid drop an email, and what it gives as the reason.
_DROPS = {
    "bounces": "Bounced Address",
    "spam_reports": "Spam Reporting Address",
    "unsubscribes": "Unsubscribed Address",
    "invalid_emails": "Invalid",
}
# The webhook's name of an event -> the activity feed's.
ACTIVITY_NAMES = {
    "processed": "processed",
    "delivered": "delivered",
    "deferred": "deferred",
    "dropped": "dropped",
    "bounce": "bounced",
    "open": "opened",
    "click": "clicked",
    "spamreport": "spam_report",
    "unsubscribe": "unsubscribe",
}


def second_stamp(moment: datetime) -> str:
    """``2026-01-31T12:00:00Z``, as the activity feed writes times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class SendGridState:
    """One record per recipient of an email, in order of sending."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._locations = {
            entry["from_email"].split("@")[-1].lower(): entry["id"]
            for entry in sandbox.credentials["ghl"]["locations"]
        }
        self.emails: list[Json] = []
        self.by_msg_id: dict[str, Json] = {}
        self.by_to: defaultdict[str, list[Json]] = defaultdict(list)
        self.by_tag: defaultdict[str, list[Json]] = defaultdict(list)
        self.lists: dict[str, dict[str, Json]] = {kind: {} for kind in KINDS}
        sandbox.on("sendgrid.mail", self._apply_mail)
        sandbox.on("sendgrid.suppress", self._apply_suppress)
        sandbox.on("sendgrid.unsuppress", self._apply_unsuppress)

    def new_id(self) -> str:
        """The ``X-Message-Id`` of the next email that is sent through the API."""
        return letters_id(22, self._sandbox.seed, "email", self._sandbox.journal.seq + 1)

    def _apply_mail(self, at: datetime, _number: int, data: Json) -> None:
        for part, recipient in enumerate(data["recipients"]):
            self._accept(at, data, part, recipient)

    def _accept(self, at: datetime, data: Json, part: int, recipient: Json) -> None:
        message_id = data["id"]
        msg_id = f"{message_id}.recvd-{digest(message_id).hex()[:10]}-1-{part:X}.0"
        to = recipient["email"].lower()
        custom = recipient.get("custom_args") or {}
        email: Json = {
            "msg_id": msg_id,
            "from_email": data["from"],
            "to_email": to,
            "subject": recipient["subject"],
            "status": "processed",
            "opens_count": 0,
            "clicks_count": 0,
            "last_event_time": second_stamp(at),
            "custom_args": custom,
            "categories": data.get("categories") or [],
            "url": data.get("link") or "",
            "events": [],
        }
        self.emails.append(email)
        self.by_msg_id[msg_id] = email
        self.by_to[to].append(email)
        tag = custom.get("send_id")
        if tag is not None:
            self.by_tag[str(tag)].append(email)
        self._sandbox.note_message(
            {
                "provider": "sendgrid",
                "id": message_id,
                "channel": "email",
                "to": to,
                "from": data["from"],
                "subject": recipient["subject"],
                "body": data["body"],
                "tag": tag,
                "time": iso(at),
                "location_id": self._locations.get(data["from"].split("@")[-1].lower()),
            }
        )
        drop = next((kind for kind in _DROPS if to in self.lists[kind]), None)
        if drop is not None:
            self._event(at, email, "dropped", _DROPS[drop])
            return
        self._event(at, email, "processed", "")
        crm = self._sandbox.crm.contacts
        contacts = [contact["id"] for contact in crm.with_email(to)]
        propensity = self._sandbox.propensity(contacts, at)
        for delay, event, detail in people.email_message(
            self._sandbox.seed, msg_id, to, propensity
        ).events:
            self._sandbox.schedule(at + delay, self._happen, msg_id, event, detail)

    def _happen(self, at: datetime, msg_id: str, event: str, detail: str) -> None:
        email = self.by_msg_id[msg_id]
        to, created = email["to_email"], int(at.timestamp())
        if event == "bounce":
            entry = {"created": created, "email": to, "reason": detail, "status": detail[4:9]}
            self.lists["bounces"].setdefault(to, entry)
        elif event == "blocked":
            entry = {"created": created, "email": to, "reason": detail, "status": detail[4:9]}
            self.lists["blocks"].setdefault(to, entry)
        elif event == "spamreport":
            entry = {"created": created, "email": to, "ip": "192.0.2.25"}
            self.lists["spam_reports"].setdefault(to, entry)
        elif event == "unsubscribe":
            self.lists["unsubscribes"].setdefault(to, {"created": created, "email": to})
        self._event(at, email, event, detail)

    def _event(self, at: datetime, email: Json, event: str, detail: str) -> None:
        kind = "bounce" if event == "blocked" else event
        if kind in ("delivered", "open", "click") and email["status"] == "processed":
            email["status"] = "delivered"
        elif kind in ("bounce", "dropped"):
            email["status"] = "not_delivered"
        if kind == "open":
            email["opens_count"] += 1
        elif kind == "click":
            email["clicks_count"] += 1
        email["last_event_time"] = second_stamp(at)
        email["events"].append((at, kind, detail, event == "blocked"))
        if not self._sandbox.replaying:
            self._sandbox.webhooks.sendgrid(self._webhook_event(at, email, event, detail))

    def _webhook_event(self, at: datetime, email: Json, event: str, detail: str) -> Json:
        number = len(email["events"])
        out: dict[str, Any] = {
            "email": email["to_email"],
            "timestamp": int(at.timestamp()),
            "event": "bounce" if event == "blocked" else event,
            "sg_event_id": letters_id(22, "event", email["msg_id"], number),
            "sg_message_id": email["msg_id"],
            "smtp-id": f"<{email['msg_id'].split('.')[0]}@geopod-ismtpd-1>",
        }
        if email["categories"]:
            out["category"] = email["categories"]
        if event == "delivered":
            out["response"] = detail
        elif event == "deferred":
            out |= {"response": detail, "attempt": "1"}
        elif event in ("bounce", "blocked"):
            out |= {"reason": detail, "status": detail[4:9], "type": event, "ip": "192.0.2.25"}
            out["bounce_classification"] = "Invalid Address" if event == "bounce" else "Reputation"
        elif event == "dropped":
            out |= {"reason": detail, "status": "5.0.0"}
        elif event in ("open", "click"):
            out |= {"ip": "198.51.100.7", "useragent": "Mozilla/5.0 (simulated)"}
            if event == "open":
                out["sg_machine_open"] = False
            else:
                out |= {"url": email["url"], "url_offset": {"index": 0, "type": "html"}}
        return {**email["custom_args"], **out}

    def _apply_suppress(self, at: datetime, _number: int, data: Json) -> None:
        created = int(at.timestamp())
        for address in data["emails"]:
            entry = {"created": created, "email": address.lower(), **(data.get("entry") or {})}
            self.lists[data["kind"]].setdefault(address.lower(), entry)

    def _apply_unsuppress(self, _at: datetime, _number: int, data: Json) -> None:
        if data.get("all"):
            self.lists[data["kind"]].clear()
        for address in data.get("emails") or ():
            self.lists[data["kind"]].pop(address.lower(), None)
