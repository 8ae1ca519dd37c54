"""Twilio's REST API, version 2010-04-01."""

from __future__ import annotations

import base64
import re
from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlencode

from providers.sandbox import people
from providers.sandbox.chance import parse_time
from providers.sandbox.state import Sandbox
from providers.sandbox.wire import Json, Refusal, Reply, Request, Route, Router, reply

_E164 = re.compile(r"\+[1-9]\d{7,14}")
_NORTH_AMERICAN = re.compile(r"\+1[2-9]\d{2}[2-9]\d{6}")
_MAX_BODY = 1600


def refuse(status: int, code: int, message: str) -> Refusal:
    """An answer in the shape of Twilio's errors."""
    return Refusal(
        reply(
            {
                "code": code,
                "message": message,
                "more_info": f"https://www.twilio.com/docs/errors/{code}",
                "status": status,
            },
            status,
        )
    )


def too_many() -> Reply:
    """Twilio's 429."""
    return refuse(429, 20429, "Too Many Requests").answer


def broken(status: int, _done: Reply | None = None) -> Reply:
    """Any other failure, as Twilio words it."""
    return refuse(status, 20500 if status >= 500 else 20001, "An internal error occurred").answer


class TwilioApi:
    """Handlers of the account's resources."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox, self._state = sandbox, sandbox.twilio
        token = f"{self._state.account_sid}:{sandbox.auth_token}"
        self._basic = "Basic " + base64.b64encode(token.encode()).decode()

    def routes(self, router: Router) -> None:
        """Registers the handlers."""
        root = "/2010-04-01/Accounts/{account}"
        router.add("POST", f"{root}/Messages.json", self.create_message)
        router.add("GET", f"{root}/Messages.json", self.list_messages)
        router.add("GET", f"{root}/Messages/{{sid}}", self.fetch_message)
        router.add("POST", f"{root}/Messages/{{sid}}", self.update_message)
        router.add("GET", "/v2/PhoneNumbers/{number}", self.look_up)
        router.add("GET", f"{root}/Calls.json", self.list_calls)
        router.add("GET", f"{root}/Calls/{{sid}}", self.fetch_call)
        router.add("GET", f"{root}/Calls/{{call}}/Recordings.json", self.list_recordings)
        router.add("GET", f"{root}/Recordings.json", self.list_recordings)
        router.add("GET", f"{root}/Recordings/{{sid}}", self.fetch_recording)

    def authenticate(self, request: Request, _route: Route) -> None:
        """Checks the account's SID and token; the path must name the account that signed in."""
        if request.headers.get("authorization", "") != self._basic:
            raise refuse(401, 20003, "Authenticate")
        if request.params.get("account", self._state.account_sid) != self._state.account_sid:
            raise self._missing(request)

    # -- messages -----------------------------------------------------------------------------

    def create_message(self, request: Request) -> Reply:
        """``CreateMessage``."""
        form = request.form()
        to, sender, body = form.get("To", ""), form.get("From", ""), form.get("Body", "")
        if not to:
            raise refuse(400, 21604, "A 'To' phone number is required.")
        if form.get("MessagingServiceSid") and not sender:
            raise refuse(
                400, 21701, "The Messaging Service resource does not exist in this sandbox."
            )
        if not sender:
            raise refuse(400, 21603, "A 'From' phone number is required.")
        if not body and not form.get("MediaUrl"):
            raise refuse(400, 21602, "Message body is required.")
        if len(body) > _MAX_BODY:
            raise refuse(
                400, 21617, "The concatenated message body exceeds the 1600 character limit"
            )
        valid = _NORTH_AMERICAN if to.startswith("+1") else _E164
        if not valid.fullmatch(to):
            raise refuse(400, 21211, f"Invalid 'To' Phone Number: {to[:-4]}XXXX")
        if sender not in self._state.numbers:
            raise refuse(
                400,
                21606,
                f"The 'From' phone number provided ({sender}) is not a valid message-capable "
                "Twilio phone number for this destination/account",
            )
        if to == sender:
            raise refuse(400, 21266, "'To' and 'From' number cannot be the same")
        if (sender, to) in self._state.opted_out:
            raise refuse(400, 21610, "Attempt to send to unsubscribed recipient")
        callback = form.get("StatusCallback", "")
        if callback and not callback.startswith(("http://", "https://")):
            raise refuse(400, 21609, f"The 'StatusCallback' URL {callback} is not a valid URL.")
        message = self._sandbox.commit(
            "twilio.message",
            {
                "sid": self._state.new_sid(),
                "to": to,
                "from": sender,
                "body": body,
                "callback": callback,
                "queued": not self._sandbox.unlimited,
            },
        )
        return reply(message, 201)

    def fetch_message(self, request: Request) -> Reply:
        """``FetchMessage``."""
        return reply(self._message(request))

    def update_message(self, request: Request) -> Reply:
        """``UpdateMessage``: only cancelling is known here."""
        message = self._message(request)
        if request.form().get("Status") != "canceled":
            raise refuse(400, 20001, "Status must be 'canceled'")
        if message["status"] not in ("queued", "accepted", "scheduled"):
            raise refuse(400, 30409, "Message is not in a cancelable state")
        return reply(self._sandbox.commit("twilio.cancel", {"sid": message["sid"]}))

    def list_messages(self, request: Request) -> Reply:
        """``ListMessage``: newest first.

        A message that still waits in the queue has no ``date_sent``; the filters then go by its
        creation, so that a sender that lost an answer finds what it created.
        """
        state, query = self._state, request.query
        numbers: Iterable[int] = range(len(state.messages) - 1, -1, -1)
        if "To" in query:
            numbers = reversed(state.to.get(query["To"], []))
        elif "From" in query:
            numbers = reversed(state.sender.get(query["From"], []))
        low, high = _bounds(query, "DateSent")
        # Times are in order of creation: what is older than the bound by a day cannot match.
        floor = 0 if low is None else bisect_left(state.sent_at, low - timedelta(days=1))

        def rows() -> Iterable[tuple[int, Json]]:
            for number in numbers:
                if number < floor:
                    return
                message = state.messages[number]
                if "To" in query and message["to"] != query["To"]:
                    continue
                if "From" in query and message["from"] != query["From"]:
                    continue
                sent = message["date_sent"] or message["date_created"]
                if _within(sent, low, high):
                    yield number, message

        return self._page(request, "messages", "Messages", rows())

    # -- Lookup, version 2 --------------------------------------------------------------------

    def look_up(self, request: Request) -> Reply:
        """``FetchPhoneNumber``: validity, and the type of the line where it is asked for."""
        number = unquote(request.params["number"])
        fields = {name.strip() for name in request.query.get("Fields", "").split(",")} - {""}
        unknown = fields - {"validation", "line_type_intelligence"}
        if unknown:
            raise refuse(400, 60617, f"Field {min(unknown)} is not available in this sandbox")
        is_valid = bool((_NORTH_AMERICAN if number.startswith("+1") else _E164).fullmatch(number))
        is_american = is_valid and number.startswith("+1")
        line = None
        if "line_type_intelligence" in fields and is_american:
            line = {
                "mobile_country_code": "310",
                "mobile_network_code": "000",
                "carrier_name": "Simulated Carrier",
                "type": people.line_type(self._sandbox.seed, number),
                "error_code": None,
            }
        national = f"({number[2:5]}) {number[5:8]}-{number[8:]}" if is_american else None
        return reply(
            {
                "calling_country_code": "1" if is_american else None,
                "country_code": "US" if is_american else None,
                "phone_number": number,
                "national_format": national,
                "valid": is_valid,
                "validation_errors": None if is_valid else ["INVALID_LENGTH"],
                "caller_name": None,
                "sim_swap": None,
                "call_forwarding": None,
                "line_status": None,
                "line_type_intelligence": line,
                "identity_match": None,
                "reassigned_number": None,
                "sms_pumping_risk": None,
                "phone_number_quality_score": None,
                "pre_fill": None,
                "url": f"https://lookups.twilio.com/v2/PhoneNumbers/{number}",
            }
        )

    # -- calls and recordings -----------------------------------------------------------------

    def list_calls(self, request: Request) -> Reply:
        """``ListCall``: newest first."""
        query = request.query
        low, high = _bounds(query, "StartTime")
        end_low, end_high = _bounds(query, "EndTime")

        def rows() -> Iterable[tuple[int, Json]]:
            for number in range(len(self._state.calls) - 1, -1, -1):
                call = self._state.calls[number]
                if (
                    query.get("To", call["to"]) == call["to"]
                    and query.get("From", call["from"]) == call["from"]
                    and query.get("Status", call["status"]) == call["status"]
                    and _within(call["start_time"], low, high)
                    and _within(call["end_time"], end_low, end_high)
                ):
                    yield number, call

        return self._page(request, "calls", "Calls", rows())

    def fetch_call(self, request: Request) -> Reply:
        """``FetchCall``."""
        return reply(self._one(self._state.calls, request))

    def list_recordings(self, request: Request) -> Reply:
        """``ListRecording`` and ``ListCallRecording``: newest first."""
        call = request.params.get("call") or request.query.get("CallSid")
        low, high = _bounds(request.query, "DateCreated")

        def rows() -> Iterable[tuple[int, Json]]:
            for number in range(len(self._state.recordings) - 1, -1, -1):
                recording = self._state.recordings[number]
                if call in (None, recording["call_sid"]) and _within(
                    recording["date_created"], low, high
                ):
                    yield number, recording

        return self._page(request, "recordings", "Recordings", rows())

    def fetch_recording(self, request: Request) -> Reply:
        """``FetchRecording``."""
        return reply(self._one(self._state.recordings, request))

    # -- helpers ------------------------------------------------------------------------------

    def _message(self, request: Request) -> Json:
        message = self._state.by_sid.get(request.params["sid"].removesuffix(".json"))
        if message is None or not request.path.endswith(".json"):
            raise self._missing(request)
        return message

    def _one(self, resources: list[Json], request: Request) -> Json:
        sid = request.params["sid"].removesuffix(".json")
        for resource in reversed(resources):
            if resource["sid"] == sid:
                return resource
        raise self._missing(request)

    @staticmethod
    def _missing(request: Request) -> Refusal:
        return refuse(404, 20404, f"The requested resource {request.path} was not found")

    def _page(
        self, request: Request, name: str, resource: str, rows: Iterable[tuple[int, Json]]
    ) -> Reply:
        query = request.query
        try:
            size = min(1000, max(1, int(query.get("PageSize", "50"))))
            page = int(query.get("Page", "0"))
            token = query.get("PageToken", "")
            before = int(token.removeprefix("PA"), 16) if token else None
        except ValueError:
            raise refuse(400, 20001, "Invalid page, page size or page token") from None
        found: list[Json] = []
        last, more = 0, False
        for number, row in rows:
            if before is not None and number >= before:
                continue
            if len(found) == size:
                more = True
                break
            found.append(row)
            last = number
        kept = {k: v for k, v in query.items() if k not in ("Page", "PageToken", "PageSize")}
        base = self._state.uri(resource)

        def uri(number: int, page_token: str) -> str:
            pairs = {**kept, "PageSize": str(size), "Page": str(number)}
            if page_token:
                pairs["PageToken"] = page_token
            return f"{base}?{urlencode(pairs)}"

        return reply(
            {
                name: found,
                "end": page * size + max(0, len(found) - 1),
                "first_page_uri": uri(0, ""),
                "next_page_uri": uri(page + 1, f"PA{last:032x}") if more else None,
                "page": page,
                "page_size": size,
                "previous_page_uri": None if page == 0 else uri(0, ""),
                "start": page * size,
                "uri": uri(page, token),
            }
        )


def _bounds(query: dict[str, str], name: str) -> tuple[datetime | None, datetime | None]:
    """The filter's times: from (inclusive) and until (inclusive); days are whole days."""
    low = high = None
    try:
        if name in query:
            low, high = _day(query[name], end=False), _day(query[name], end=True)
        if f"{name}>" in query:
            low = _day(query[f"{name}>"], end=False)
        if f"{name}<" in query:
            high = _day(query[f"{name}<"], end=True)
    except ValueError:
        raise refuse(400, 20001, f"Invalid value for {name}: use YYYY-MM-DD or ISO 8601") from None
    return low, high


def _day(text: str, *, end: bool) -> datetime:
    moment = parse_time(text)
    if end and len(text) == len("2026-01-31"):
        moment += timedelta(days=1) - timedelta(seconds=1)
    return moment


def _within(text: str, low: datetime | None, high: datetime | None) -> bool:
    if low is None and high is None:
        return True
    moment = parsedate_to_datetime(text)
    # Twilio keeps whole seconds: a bound within the second still includes it.
    return (low is None or moment >= low.replace(microsecond=0)) and (
        high is None or moment <= high
    )
