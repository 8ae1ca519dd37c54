"""The simulated Twilio account: what was sent, what came back, who opted out."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from providers.sandbox import people
from providers.sandbox.chance import hex_id, iso, lognormal, uniform
from providers.sandbox.segments import segment_count
from providers.sandbox.wire import Json

if TYPE_CHECKING:
    from providers.sandbox.state import Sandbox

# Segments a second that carriers take from one registered long-code number.
_SEGMENTS_PER_SECOND = 10.0
_ERRORS = {
    30003: "Unreachable destination handset",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Carrier violation",
}
_CONFIRMATION = (
    "You have successfully been unsubscribed. You will not receive any more messages from this "
    "number. Reply START to resubscribe."
)


def stamp(moment: datetime) -> str:
    """RFC 2822, as Twilio writes times."""
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0))


class TwilioState:
    """Messages in order of creation; lists are read from the end, so a page never shifts."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.account_sid: str = sandbox.credentials["twilio"]["account_sid"]
        self.numbers = {e["from_number"]: e["id"] for e in sandbox.credentials["ghl"]["locations"]}
        self.messages: list[Json] = []
        self.by_sid: dict[str, Json] = {}
        self.to: defaultdict[str, list[int]] = defaultdict(list)
        self.sender: defaultdict[str, list[int]] = defaultdict(list)
        self.sent_at: list[datetime] = []
        self.calls: list[Json] = []
        self.recordings: list[Json] = []
        self.opted_out: dict[tuple[str, str], str] = {}
        self._free_at: dict[str, datetime] = {}
        self._had: defaultdict[str, list[datetime]] = defaultdict(list)
        sandbox.on("twilio.message", self._apply_message)
        sandbox.on("twilio.inbound", self._apply_inbound)
        sandbox.on("twilio.cancel", self._apply_cancel)

    def new_sid(self) -> str:
        """The sid of the next message that is sent through the API."""
        return hex_id("SM", self._sandbox.seed, "message", self._sandbox.journal.seq + 1)

    # -- changes ------------------------------------------------------------------------------

    def _apply_message(self, at: datetime, _number: int, data: Json) -> Json:
        to, sender = data["to"], data["from"]
        callback = data.get("callback") or ""
        message = self._add(data["sid"], at, "outbound-api", sender, to, data["body"], "queued")
        self._sandbox.note_message(
            {
                "provider": "twilio",
                "id": data["sid"],
                "channel": "sms",
                "to": to,
                "from": sender,
                "subject": None,
                "body": data["body"],
                "tag": parse_qs(urlsplit(callback).query).get("send_id", [None])[0],
                "time": iso(at),
                "location_id": self.numbers.get(sender),
            }
        )
        begin = at + timedelta(seconds=0.4)
        if data.get("queued", True):
            # Carriers take so many segments a second from a number; the rest waits in its queue.
            begin = max(begin, self._free_at.get(sender, at))
            seconds = int(message["num_segments"]) / _SEGMENTS_PER_SECOND
            self._free_at[sender] = begin + timedelta(seconds=seconds)
        self._sandbox.schedule(begin, self._sent, data["sid"], callback)
        return message

    def _sent(self, at: datetime, sid: str, callback: str) -> None:
        message = self.by_sid[sid]
        if message["status"] == "canceled":
            return
        message["date_sent"] = stamp(at)
        self._set_status(at, message, "sent", callback)
        to = message["to"]
        month_ago = at - timedelta(days=30)
        had = self._had[to] = [t for t in self._had[to] if t > month_ago]
        contacts = [c["id"] for c in self._sandbox.crm.contacts.with_phone(to)]
        propensity = self._sandbox.propensity(contacts, at)
        seed = self._sandbox.seed
        reaction = people.text_message(seed, sid, to, propensity, len(had))
        had.append(at)
        schedule = self._sandbox.schedule
        schedule(at + reaction.delivery_delay, self._settle, sid, reaction.error_code, callback)
        if reaction.reply:
            later = at + reaction.reply_delay
            schedule(later, self._reply, sid, reaction.reply)
        elif reaction.calls_back:
            schedule(at + reaction.reply_delay, self._call_back, sid)

    def _settle(self, at: datetime, sid: str, error_code: int, callback: str) -> None:
        message = self.by_sid[sid]
        if error_code:
            message["error_code"] = error_code
            message["error_message"] = _ERRORS[error_code]
        self._set_status(at, message, "undelivered" if error_code else "delivered", callback)
        message["price"] = f"-{0.0079 * int(message['num_segments']):.5f}"

    def _reply(self, at: datetime, sid: str, text: str) -> None:
        message = self.by_sid[sid]
        self.receive(at, hex_id("SM", sid, "reply"), message["to"], message["from"], text)

    def _apply_inbound(self, at: datetime, _number: int, data: Json) -> Json:
        return self.receive(at, data["sid"], data["from"], data["to"], data["body"])

    def _apply_cancel(self, at: datetime, _number: int, data: Json) -> Json:
        message = self.by_sid[data["sid"]]
        message["status"], message["date_updated"] = "canceled", stamp(at)
        return message

    def receive(self, at: datetime, sid: str, person: str, number: str, text: str) -> Json:
        """A text from a person to one of our numbers; opt-out words are obeyed as Twilio does.

        Only the words themselves count: "please stop" reaches the webhook and changes nothing.
        """
        message = self._add(sid, at, "inbound", person, number, text, "received")
        message["date_sent"] = stamp(at)
        word = text.strip().upper()
        opt_out_type = ""
        if word in people.STOP_WORDS:
            opt_out_type = "STOP"
            if (number, person) not in self.opted_out:
                self.opted_out[number, person] = iso(at)
                confirmation = hex_id("SM", sid, "confirmation")
                added = self._add(
                    confirmation, at, "outbound-reply", number, person, _CONFIRMATION, "delivered"
                )
                added["date_sent"] = stamp(at)
        elif word in people.START_WORDS:
            opt_out_type = "START" if self.opted_out.pop((number, person), None) else ""
        elif word in people.HELP_WORDS:
            opt_out_type = "HELP"
        self._announce(message, opt_out_type)
        return message

    def _call_back(self, at: datetime, sid: str) -> None:
        message = self.by_sid[sid]
        seconds = int(min(900, lognormal(75, 0.8, sid, "duration")))
        call_sid, end = hex_id("CA", sid, "call"), at + timedelta(seconds=seconds)
        missed = uniform(sid, "missed") < 0.3
        call = {
            "sid": call_sid,
            "date_created": stamp(at),
            "date_updated": stamp(end),
            "parent_call_sid": None,
            "account_sid": self.account_sid,
            "to": message["from"],
            "to_formatted": message["from"],
            "from": message["to"],
            "from_formatted": message["to"],
            "phone_number_sid": hex_id("PN", message["from"]),
            "status": "no-answer" if missed else "completed",
            "start_time": stamp(at),
            "end_time": stamp(at if missed else end),
            "duration": "0" if missed else str(seconds),
            "price": None if missed else f"-{0.0085 * (seconds // 60 + 1):.4f}",
            "price_unit": "USD",
            "direction": "inbound",
            "answered_by": None,
            "api_version": "2010-04-01",
            "forwarded_from": None,
            "group_sid": None,
            "caller_name": None,
            "queue_time": "0",
            "trunk_sid": None,
            "uri": self.uri(f"Calls/{call_sid}"),
            "subresource_uris": {"recordings": self.uri(f"Calls/{call_sid}/Recordings")},
        }
        self.calls.append(call)
        if not missed:
            self.recordings.append(self._recording(call, at, end, seconds))

    def _recording(self, call: Json, at: datetime, end: datetime, seconds: int) -> Json:
        sid = hex_id("RE", call["sid"])
        return {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "call_sid": call["sid"],
            "conference_sid": None,
            "date_created": stamp(end),
            "date_updated": stamp(end),
            "start_time": stamp(at),
            "duration": str(seconds),
            "sid": sid,
            "price": "-0.00250",
            "price_unit": "USD",
            "status": "completed",
            "channels": 2,
            "source": "RecordVerb",
            "error_code": None,
            "uri": self.uri(f"Recordings/{sid}"),
            "encryption_details": None,
            "subresource_uris": {"transcriptions": self.uri(f"Recordings/{sid}/Transcriptions")},
            "media_url": None,
        }

    def uri(self, resource: str) -> str:
        """A resource's address, as Twilio writes it: without host."""
        return f"/2010-04-01/Accounts/{self.account_sid}/{resource}.json"

    def _add(
        self, sid: str, at: datetime, direction: str, sender: str, to: str, body: str, status: str
    ) -> Json:
        message: Json = {
            "body": body,
            "num_segments": str(segment_count(body)),
            "direction": direction,
            "from": sender,
            "to": to,
            "date_updated": stamp(at),
            "price": None,
            "error_message": None,
            "uri": self.uri(f"Messages/{sid}"),
            "account_sid": self.account_sid,
            "num_media": "0",
            "status": status,
            "messaging_service_sid": None,
            "sid": sid,
            "date_sent": None,
            "date_created": stamp(at),
            "error_code": None,
            "price_unit": "USD",
            "api_version": "2010-04-01",
            "subresource_uris": {
                "media": self.uri(f"Messages/{sid}/Media"),
                "feedback": self.uri(f"Messages/{sid}/Feedback"),
            },
        }
        number = len(self.messages)
        self.messages.append(message)
        self.sent_at.append(at)
        self.by_sid[sid] = message
        self.to[to].append(number)
        self.sender[sender].append(number)
        return message

    # -- webhooks -----------------------------------------------------------------------------

    def _set_status(self, at: datetime, message: Json, status: str, callback: str) -> None:
        message["status"], message["date_updated"] = status, stamp(at)
        if not callback or self._sandbox.replaying:
            return
        form = {
            "MessageSid": message["sid"],
            "SmsSid": message["sid"],
            "MessageStatus": status,
            "SmsStatus": status,
            "To": message["to"],
            "From": message["from"],
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
        }
        if message["error_code"]:
            form["ErrorCode"] = str(message["error_code"])
        self._sandbox.webhooks.twilio(callback, form)

    def _announce(self, message: Json, opt_out_type: str) -> None:
        url = self._sandbox.webhooks.urls.get("twilio")
        if url is None or self._sandbox.replaying:
            return
        form = {
            "MessageSid": message["sid"],
            "SmsSid": message["sid"],
            "SmsMessageSid": message["sid"],
            "AccountSid": self.account_sid,
            "From": message["from"],
            "To": message["to"],
            "Body": message["body"],
            "NumMedia": "0",
            "NumSegments": message["num_segments"],
            "SmsStatus": "received",
            "ApiVersion": "2010-04-01",
        }
        if opt_out_type:
            form["OptOutType"] = opt_out_type
        self._sandbox.webhooks.twilio(url, form)
