"""Twilio: SMS, calls and recordings, through the official SDK on our own transport."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from pydantic import SecretStr
from twilio.base.exceptions import TwilioException
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from leadengine.log import get_logger
from providers.core import ONE_TRY, Bucket, Channel, Kind, RetryPolicy
from providers.http import JsonObject, Provider, bad_answer, must_advance
from providers.limits import DEFAULT_LIMITS, RateLimit, RateLimiter
from providers.quiet import silence
from providers.wire import Wire

T = TypeVar("T")

TWILIO = Provider("twilio", "Twilio", "TWILIO_BASE_URL", "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN")
PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class SmsReceipt:
    """Twilio's answer to a message: its SID and first status, usually ``queued``."""

    sid: str
    status: str


class _Transport(HttpClient):  # type: ignore[misc]  # the SDK is untyped
    """Carries the SDK's requests to ``base_url``, with our timeouts and our reading of failures.

    It logs no request, unlike the SDK's own, whose log lines hold phone numbers.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__(get_logger("providers.twilio"), False)
        self._wire = wire

    def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,  # noqa: ARG002 - the connection has its own
        timeout: float | None = None,  # noqa: ARG002
        allow_redirects: bool = False,  # noqa: ARG002
    ) -> Response:
        """One request; the SDK only ever sees an answer with status 2xx."""
        parts = urlsplit(uri)
        query = "&".join(part for part in (parts.query, _form(params)) if part)
        sent = {name: str(value) for name, value in (headers or {}).items()}
        body = _form(data).encode() if data else None
        if body is not None:
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        answer = self._wire.send(
            method, parts.path + (f"?{query}" if query else ""), body=body, headers=sent
        )
        return Response(answer.status, answer.body.decode("utf-8", "replace"), answer.headers)


class TwilioClient:
    """One Twilio account. Iterators yield pages: lists of the provider's own JSON objects.

    ``send_bucket`` names the account's limit for a caller that paces itself.

    Args:
        base_url: the API's root, without a trailing slash and without the version.
        account_sid: the account.
        auth_token: its token.
        limiter: counts requests.
        limit: how many requests the account may make; 95 % of it is used.
        policy: how often calls are repeated.
    """

    def __init__(
        self,
        base_url: str,
        account_sid: str,
        auth_token: SecretStr,
        *,
        limiter: RateLimiter,
        limit: RateLimit = DEFAULT_LIMITS.twilio,
        policy: RetryPolicy | None = None,
    ) -> None:
        silence()
        secret = auth_token.get_secret_value()
        self._wire = Wire(base_url, TWILIO, auth=(account_sid, secret))
        self._sdk: Any = Client(account_sid, secret, http_client=_Transport(self._wire))
        self._account_sid = account_sid
        self.send_bucket = Bucket(f"twilio:{account_sid}", limit)
        self._channel = Channel(
            TWILIO.name,
            limiter=limiter,
            buckets=[Bucket(f"twilio:{account_sid}", limit.with_margin())],
            policy=policy,
        )

    def close(self) -> None:
        """Closes the connections."""
        self._wire.close()

    def ping(self) -> None:
        """One cheap authenticated call, not repeated.

        Raises:
            ProviderError: says whether the address, the token or the provider is the trouble.
        """
        self._call(
            "ping",
            Kind.READ,
            lambda: _records(self._sdk.messages.page(page_size=1)),
            policy=ONE_TRY,
        )

    def send_sms(
        self,
        to: str,
        from_number: str,
        body: str,
        status_callback: str | None = None,
        *,
        paced: bool = False,
    ) -> SmsReceipt:
        """Sends one message.

        Args:
            to: E.164.
            from_number: E.164, or the SID of a messaging service (``MG...``).
            body: the text; long ones go out in segments.
            status_callback: URL that Twilio posts every change of status to.
            paced: the caller keeps to :attr:`send_bucket` itself, and repeats what was not sent
                itself: one attempt, at once.

        Raises:
            NotSent: it certainly did not go out.
            Rejected: Twilio refused it; ``code`` says why, such as 21610 (recipient opted out).
            Unknown: it may have gone out; look for it with :meth:`iter_messages`.
        """
        sender = "messaging_service_sid" if from_number.startswith("MG") else "from_"
        fields: dict[str, Any] = {"to": to, sender: from_number, "body": body}
        if status_callback is not None:
            fields["status_callback"] = status_callback

        def attempt() -> SmsReceipt:
            message = self._sdk.messages.create(**fields)
            if not message.sid:
                raise bad_answer(TWILIO)
            return SmsReceipt(sid=str(message.sid), status=str(message.status))

        if paced:
            return self._call("send_sms", Kind.ONCE, attempt, policy=ONE_TRY, buckets=())
        return self._call("send_sms", Kind.ONCE, attempt)

    def fetch_message(self, sid: str) -> JsonObject:
        """One message as Twilio has it: ``sid``, ``status``, ``error_code``, ``date_sent``, ..."""
        path = f"/Accounts/{quote(self._account_sid)}/Messages/{quote(sid)}.json"
        return self._call(
            "fetch_message",
            Kind.READ,
            lambda: _record(self._sdk.api.v2010.fetch(method="GET", uri=path)),
        )

    def iter_messages(
        self, to: str | None = None, sent_after: datetime | None = None
    ) -> Iterator[list[JsonObject]]:
        """Messages of the account, newest first.

        Args:
            to: only those to this number, E.164.
            sent_after: only those sent at this moment or later.
        """
        filters: dict[str, Any] = {"page_size": PAGE_SIZE}
        if to is not None:
            filters["to"] = to
        if sent_after is not None:
            filters["date_sent_after"] = _utc(sent_after)
        return self._pages("list_messages", lambda: self._sdk.messages.page(**filters))

    def iter_calls(self, after: datetime | None = None) -> Iterator[list[JsonObject]]:
        """Calls of the account that started at ``after`` or later, newest first."""
        filters: dict[str, Any] = {"page_size": PAGE_SIZE}
        if after is not None:
            filters["start_time_after"] = _utc(after)
        return self._pages("list_calls", lambda: self._sdk.calls.page(**filters))

    def iter_recordings(self, after: datetime | None = None) -> Iterator[list[JsonObject]]:
        """Recordings of the account made at ``after`` or later, newest first."""
        filters: dict[str, Any] = {"page_size": PAGE_SIZE}
        if after is not None:
            filters["date_created_after"] = _utc(after)
        return self._pages("list_recordings", lambda: self._sdk.recordings.page(**filters))

    def _pages(self, operation: str, first: Callable[[], Any]) -> Iterator[list[JsonObject]]:
        read, before = first, None
        while True:
            page, records = self._call(operation, Kind.READ, partial(_with_records, read))
            if records:
                yield records
            if not page.next_page_url:
                return
            must_advance(TWILIO, operation, before, page.next_page_url)
            read, before = page.next_page, page.next_page_url

    def _call(
        self,
        operation: str,
        kind: Kind,
        attempt: Callable[[], T],
        policy: RetryPolicy | None = None,
        buckets: Sequence[Bucket] | None = None,
    ) -> T:
        def understood() -> T:
            try:
                return attempt()
            # The SDK reads the body with no check of its own: whatever trips it is a bad answer.
            except (ValueError, TypeError, KeyError, AttributeError, TwilioException):
                raise bad_answer(TWILIO) from None

        return self._channel.call(operation, kind, understood, policy=policy, buckets=buckets)


def _form(fields: Mapping[str, Any] | None) -> str:
    """Fields as Twilio takes them; a list becomes a repeated field."""
    given = {name: value for name, value in (fields or {}).items() if value is not None}
    return urlencode(given, doseq=True)


def _with_records(read: Callable[[], Any]) -> tuple[Any, list[JsonObject]]:
    page = read()
    return page, _records(page)


def _records(page: Any) -> list[JsonObject]:
    """A page's records as Twilio sent them; the SDK's own objects rename and convert them."""
    records = page.load_page(page._payload)
    if not isinstance(records, list):
        raise bad_answer(TWILIO)
    return records


def _record(item: object) -> JsonObject:
    if not isinstance(item, dict) or not item.get("sid"):
        raise bad_answer(TWILIO)
    return item


def _utc(moment: datetime) -> datetime:
    """The SDK writes the figures of any datetime as if they were UTC."""
    if moment.tzinfo is None:
        raise ValueError("a time without a time zone")
    return moment.astimezone(UTC)
