"""The sandbox's whole state: the journal, the clock, the CRM, the messages sent.

Every change goes through :meth:`Sandbox.commit`, which writes it to the journal and then applies
it. Applying depends on nothing but the state and the change, so a restart that replays the journal
arrives at the same state. What follows from a change by itself (a text is delivered, somebody
answers) is put on a schedule and happens when its time has come; it is drawn from the seed, so
it needs no journal.
"""

from __future__ import annotations

import gc
import heapq
from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from leadengine.errors import LeadEngineError
from providers.sandbox.brokerage import load_brokerage
from providers.sandbox.chance import hex_id, letters_id, uuid_id
from providers.sandbox.crm import Crm
from providers.sandbox.faults import Faults
from providers.sandbox.journal import Journal, from_micros, micros
from providers.sandbox.sendgrid.state import SendGridState
from providers.sandbox.signing import Keys
from providers.sandbox.twilio.state import TwilioState
from providers.sandbox.webhooks import Webhooks
from providers.sandbox.wire import Json

Applier = Callable[[datetime, int, Json], Any]

_NOTE_EVERY = timedelta(seconds=1)
_EVENT_TYPES = {
    ("contact", "created"): "ContactCreate",
    ("contact", "updated"): "ContactUpdate",
    ("contact", "deleted"): "ContactDelete",
    ("contact", "tags"): "ContactTagUpdate",
    ("contact", "dnd"): "ContactDndUpdate",
    ("opportunity", "created"): "OpportunityCreate",
    ("opportunity", "updated"): "OpportunityUpdate",
    ("opportunity", "deleted"): "OpportunityDelete",
    ("opportunity", "status"): "OpportunityStatusUpdate",
    ("opportunity", "stage"): "OpportunityStageUpdate",
    ("task", "created"): "TaskCreate",
    ("task", "completed"): "TaskComplete",
    ("task", "deleted"): "TaskDelete",
    ("note", "created"): "NoteCreate",
    ("note", "updated"): "NoteUpdate",
    ("note", "deleted"): "NoteDelete",
    ("appointment", "created"): "AppointmentCreate",
    ("appointment", "updated"): "AppointmentUpdate",
    ("appointment", "deleted"): "AppointmentDelete",
}


class Sandbox:
    """One simulated brokerage and its accounts at the providers.

    Args:
        state_dir: where the journal, the keys and the generated brokerage are kept.
        contacts: size of the brokerage; must be the same at each start in one folder.
        seed: of everything drawn; must be the same too.
        anchor: the day (UTC) around which the simulation lies; None: the one kept, else today.
        unlimited: no rate limits, neither the APIs' nor the carriers'.

    Raises:
        LeadEngineError: the folder cannot be used, or holds another brokerage.
    """

    def __init__(
        self,
        state_dir: Path,
        contacts: int,
        seed: int,
        anchor: date | None,
        *,
        unlimited: bool = False,
    ) -> None:
        self.unlimited = unlimited
        self.journal = Journal(state_dir / "sandbox.sqlite3")
        self.seed, self.contacts = seed, contacts
        self.anchor = self._claim(state_dir, contacts, seed, anchor)
        self.brokerage = load_brokerage(
            state_dir, seed, contacts, self.anchor, has_history=self.journal.seq > 0
        )
        self.keys = Keys(state_dir)
        self.faults = Faults(seed)
        self.credentials = self._make_credentials()
        self.auth_token: str = self.credentials["twilio"]["auth_token"]
        self.webhooks = Webhooks(self.keys, self.faults, self.auth_token, seed)
        self.crm = Crm()
        self.custom_fields: list[Json] = list(self.brokerage.custom_fields)
        self.ledger: list[Json] = []
        self.replaying = True
        self._appliers: dict[str, Applier] = {}
        self._schedule: list[tuple[datetime, int, Callable[..., None], tuple[Any, ...]]] = []
        self._scheduled = 0
        self._revealed = 0
        self._offset = timedelta(0)
        self._last = self._noted = self._moment = datetime(1970, 1, 1, tzinfo=UTC)
        self._propensity: tuple[date, dict[str, float]] = (date.min, {})
        self.on("clock", self._apply_clock)
        self.on("webhook", self._apply_webhook)
        self.twilio = TwilioState(self)
        self.sendgrid = SendGridState(self)

    def start(self) -> None:
        """Brings the state up to now: the past of the simulation and every change since.

        Webhooks are sent for what happened after the last moment this sandbox was known to run.
        """
        # Hundreds of thousands of objects come to stay: looking among them for garbage is in vain.
        gc.disable()
        first, now = self.journal.first(), datetime.now(UTC)
        past = bisect_left(
            self.brokerage.records, now if first is None else first, key=lambda r: r.known_at
        )
        self.crm.load(self.brokerage.records[:past])
        self._revealed = past
        for seq, at, kind, data in self.journal.replay():
            self._advance(at)
            self._last = at
            self._appliers[kind](at, seq, data)
        seen = self.journal.get("seen_until")
        now = self.now()
        self._advance(now if seen is None else min(now, from_micros(int(seen))))
        self.replaying = False
        self.advance()
        gc.freeze()
        gc.enable()

    # -- time ---------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The sandbox's time, UTC: later at every call, so that changes have an order."""
        moment = datetime.now(UTC) + self._offset
        if moment <= self._last:
            moment = self._last + timedelta(microseconds=1)
        self._last = moment
        return moment

    def advance(self) -> None:
        """Lets happen what is due; changes made until the next advance happen at this moment.

        So no change falls behind an event that a replay would let happen before it.
        """
        self._moment = self.now()
        self._advance(self._moment)

    def tick(self) -> None:
        """For the server's ticker: lets happen what is due and remembers how far we came."""
        self.advance()
        if self._last - self._noted >= _NOTE_EVERY:
            self._noted = self._last
            self.journal.set("seen_until", str(micros(self._last)))
        self.webhooks.flush()

    def schedule(self, at: datetime, action: Callable[..., None], *arguments: Any) -> None:
        """Calls ``action(at, *arguments)`` once the sandbox's time has reached ``at``."""
        self._scheduled += 1
        heapq.heappush(self._schedule, (at, self._scheduled, action, arguments))

    def _advance(self, now: datetime) -> None:
        records, schedule = self.brokerage.records, self._schedule
        while True:
            known_at = records[self._revealed].known_at if self._revealed < len(records) else None
            if schedule and (known_at is None or schedule[0][0] < known_at):
                if schedule[0][0] > now:
                    return
                at, _, action, arguments = heapq.heappop(schedule)
                action(at, *arguments)
            elif known_at is not None and known_at <= now:
                self._reveal(self._revealed)
                self._revealed += 1
            else:
                return

    def _reveal(self, number: int) -> None:
        record = self.brokerage.records[number]
        before = self.crm.contacts.get(record.id) if record.kind == "contact" else None
        done = self.crm.apply(record)
        if not self.replaying and "ghl" in self.webhooks.urls:
            self.ghl_event(record.kind, done, record.payload or before or {}, record.known_at)

    # -- changes ------------------------------------------------------------------------------

    def on(self, kind: str, applier: Applier) -> None:
        """Says what a kind of change does: ``applier(at, number, data)``."""
        self._appliers[kind] = applier

    def commit(self, kind: str, data: Json) -> Any:
        """Makes a change: durable first, then done. Returns what its applier returns."""
        number = self.journal.append(self._moment, kind, data)
        return self._appliers[kind](self._moment, number, data)

    def note_message(self, entry: Json) -> None:
        """Adds an accepted message to the ledger."""
        self.ledger.append({"seq": len(self.ledger) + 1, **entry})

    def ghl_event(self, kind: str, done: str, document: Json, at: datetime) -> None:
        """Sends the webhook of a change in the CRM, if it has one."""
        if self.replaying:
            return
        if kind == "message" and done == "created":
            self.webhooks.ghl(_message_event(document), at)
            return
        event_type = _EVENT_TYPES.get((kind, done))
        if event_type is None:
            return
        if kind == "appointment":
            fields = {k: v for k, v in document.items() if k != "locationId"}
            event = {"locationId": document.get("locationId"), "appointment": fields}
        else:
            event = {k: v for k, v in document.items() if v is not None}
        # A contact has a type of its own ("lead"), which gives way to the event's.
        self.webhooks.ghl({**event, "type": event_type}, at)

    # -- the simulation's truth ---------------------------------------------------------------

    def propensity(self, contact_ids: list[str], at: datetime) -> float:
        """The likeliest conversion among these contacts at the start of that day; 0.02 if none."""
        day = at.date()
        if self._propensity[0] != day:
            midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
            self._propensity = (day, self.brokerage.truth.propensities(midnight))
        known = self._propensity[1]
        return max((known[i] for i in contact_ids if i in known), default=0.02)

    def close(self) -> None:
        """Ends the work; the state stays on disk."""
        self.webhooks.close()
        self.journal.set("seen_until", str(micros(self._last)))
        self.journal.close()

    # -- beginnings ---------------------------------------------------------------------------

    def _claim(self, folder: Path, contacts: int, seed: int, anchor: date | None) -> date:
        kept = {n: self.journal.get(n) for n in ("seed", "contacts", "anchor")}
        if kept["anchor"] is None:
            anchor = anchor or datetime.now(UTC).date()
            self.journal.set("seed", str(seed))
            self.journal.set("contacts", str(contacts))
            self.journal.set("anchor", anchor.isoformat())
            return anchor
        wanted = {"seed": str(seed), "contacts": str(contacts), "anchor": kept["anchor"]}
        if anchor is not None:
            wanted["anchor"] = anchor.isoformat()
        for name, value in wanted.items():
            if kept[name] != value:
                self.journal.close()
                raise LeadEngineError(
                    f"The sandbox's folder {folder} was made with {name}={kept[name]}, "
                    f"not {name}={value}.",
                    remedy=f"Start it with {name}={kept[name]}, or choose or empty the folder.",
                )
        return date.fromisoformat(kept["anchor"])

    def _make_credentials(self) -> Json:
        seed = self.seed
        entries = []
        for number, location in enumerate(self.brokerage.locations):
            slug = location.get("email", f"office@office{number}.example.com").split("@")[-1]
            entries.append(
                {
                    "id": location["id"],
                    "name": location["name"],
                    "timezone": location["timezone"],
                    "token": f"pit-{uuid_id(seed, 'token', location['id'])}",
                    "from_number": location.get("phone") or f"+1500555{number:04}",
                    "from_email": f"hello@{slug}",
                }
            )
        return {
            "ghl": {
                "locations": entries,
                "company_id": self.brokerage.locations[0]["companyId"],
                "webhook_ed25519_public_key": self.keys.ghl_ed25519_public_key,
                "webhook_rsa_public_key": self.keys.ghl_rsa_public_key,
            },
            "twilio": {
                "account_sid": hex_id("AC", seed, "account"),
                "auth_token": hex_id("", seed, "auth token"),
            },
            "sendgrid": {
                "api_key": f"SG.{letters_id(22, seed, 'sg')}.{letters_id(43, seed, 'sg key')}",
                "from_email": entries[0]["from_email"],
                "webhook_public_key": self.keys.sendgrid_public_key,
            },
            "apollo": {"api_key": letters_id(22, seed, "apollo")},
            "anthropic": {"api_key": f"sk-ant-sim-{letters_id(40, seed, 'anthropic')}"},
        }

    def _apply_clock(self, _at: datetime, _number: int, data: Json) -> None:
        self._offset += timedelta(seconds=data["seconds"])

    def _apply_webhook(self, _at: datetime, _number: int, data: Json) -> None:
        if data["url"]:
            self.webhooks.urls[data["provider"]] = data["url"]
        else:
            self.webhooks.urls.pop(data["provider"], None)


def _message_event(message: Json) -> Json:
    kind = str(message.get("messageType", "")).removeprefix("TYPE_")
    meta = message.get("meta") or {}
    event: Json = {
        "type": "InboundMessage" if message["direction"] == "inbound" else "OutboundMessage",
        "locationId": message["locationId"],
        "attachments": message.get("attachments") or [],
        "body": message.get("body") or "",
        "contactId": message.get("contactId") or "",
        "contentType": message.get("contentType") or "text/plain",
        "conversationId": message["conversationId"],
        "dateAdded": message.get("dateAdded") or "",
        "direction": message["direction"],
        "messageType": {"EMAIL": "Email", "VOICEMAIL": "VoiceMail"}.get(kind, kind),
        "status": message.get("status") or "delivered",
        "messageId": message["id"],
    }
    for name in ("userId", "source", "conversationProviderId"):
        if message.get(name):
            event[name] = message[name]
    call = meta.get("call") or meta
    if call.get("callDuration") is not None or call.get("duration") is not None:
        event["callDuration"] = int(call.get("callDuration") or call.get("duration") or 0)
        event["callStatus"] = call.get("callStatus") or call.get("status") or "completed"
    return event
