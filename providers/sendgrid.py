"""SendGrid: email, suppressions and activity, through the official SDK on our own transport."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypeVar
from urllib.request import Request

import python_http_client
from pydantic import SecretStr
from sendgrid import SendGridAPIClient

from providers.core import ONE_TRY, Bucket, Channel, Kind, RetryPolicy
from providers.http import JsonObject, Provider, bad_answer, must_advance
from providers.limits import DEFAULT_LIMITS, RateLimit, RateLimiter
from providers.quiet import silence
from providers.wire import Wire, WireAnswer

T = TypeVar("T")

SENDGRID = Provider("sendgrid", "SendGrid", "SENDGRID_BASE_URL", "SENDGRID_API_KEY")
SUPPRESSION_PAGE = 500

SuppressionKind = Literal["bounces", "blocks", "invalid_emails", "spam_reports", "unsubscribes"]
SUPPRESSION_KINDS: tuple[SuppressionKind, ...] = (
    "bounces",
    "blocks",
    "invalid_emails",
    "spam_reports",
    "unsubscribes",
)


@dataclass(frozen=True, slots=True)
class EmailMessage:
    """One email to one recipient.

    ``custom_args`` come back in every event of this email: put our own id there. ``headers`` are
    for ``List-Unsubscribe`` and the like.
    """

    to: str
    from_email: str
    from_name: str
    subject: str
    text: str
    html: str | None = None
    custom_args: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> JsonObject:
        """The body of SendGrid's mail send."""
        recipient: JsonObject = {"to": [{"email": self.to}]}
        if self.custom_args:
            recipient["custom_args"] = {key: str(value) for key, value in self.custom_args.items()}
        content = [{"type": "text/plain", "value": self.text}]
        if self.html:
            content.append({"type": "text/html", "value": self.html})
        body: JsonObject = {
            "personalizations": [recipient],
            "from": {"email": self.from_email, "name": self.from_name},
            "subject": self.subject,
            "content": content,
        }
        if self.headers:
            body["headers"] = dict(self.headers)
        return body


class _Urllib:
    """What the SDK uses of urllib. It builds an opener for each request, which ours never opens
    anything with; that took as long as the request itself.
    """

    Request = Request

    @staticmethod
    def build_opener() -> None:
        return None


python_http_client.client.urllib = _Urllib


class _Answer:
    """What the SDK expects of urllib's answer."""

    def __init__(self, answer: WireAnswer) -> None:
        self._answer = answer

    def getcode(self) -> int:
        return self._answer.status

    def read(self) -> bytes:
        return self._answer.body

    def info(self) -> Mapping[str, str]:
        return self._answer.headers


class _Transport(python_http_client.Client):  # type: ignore[misc]  # the SDK is untyped
    """The SDK's HTTP client, sending through ours: no redirect, our timeouts, our failures."""

    def __init__(self, wire: Wire, **options: Any) -> None:
        super().__init__(**options)
        self._wire = wire

    def _build_client(self, name: str | None = None) -> _Transport:
        return _Transport(
            self._wire,
            host=self.host,
            version=self._version,
            # A copy: the SDK adds headers to it, and clients are used by several threads.
            request_headers=dict(self.request_headers),
            url_path=[*self._url_path, name] if name else self._url_path,
        )

    def _make_request(
        self,
        opener: object,  # noqa: ARG002 - urllib's, not used
        request: Request,
        timeout: float | None = None,  # noqa: ARG002
    ) -> _Answer:
        return _Answer(
            self._wire.send(
                request.get_method(),
                request.full_url.removeprefix(self.host),
                body=request.data if isinstance(request.data, bytes) else None,
                headers=dict(request.header_items()),
            )
        )


class SendGridClient:
    """One SendGrid account.

    ``send_bucket`` names the limit of mail send for a caller that paces itself.

    Args:
        base_url: the API's root, without a trailing slash and without the version.
        api_key: needs mail send; suppressions and email activity for reading.
        limiter: counts requests.
        send_limit: limit of mail send; 95 % of each limit is used.
        read_limit: limit of the other endpoints.
        activity_limit: limit of the email activity.
        policy: how often calls are repeated.
    """

    def __init__(
        self,
        base_url: str,
        api_key: SecretStr,
        *,
        limiter: RateLimiter,
        send_limit: RateLimit = DEFAULT_LIMITS.sendgrid_send,
        read_limit: RateLimit = DEFAULT_LIMITS.sendgrid_read,
        activity_limit: RateLimit = DEFAULT_LIMITS.sendgrid_activity,
        policy: RetryPolicy | None = None,
    ) -> None:
        silence()
        self._wire = Wire(base_url, SENDGRID)
        sdk = SendGridAPIClient(api_key.get_secret_value(), host=base_url)
        self._api: Any = _Transport(
            self._wire, host=base_url, request_headers=sdk._default_headers, version=3
        )
        self.send_bucket = Bucket("sendgrid:send", send_limit)
        self._send_bucket = Bucket("sendgrid:send", send_limit.with_margin())
        self._activity_bucket = Bucket("sendgrid:activity", activity_limit.with_margin())
        self._channel = Channel(
            SENDGRID.name,
            limiter=limiter,
            buckets=[Bucket("sendgrid:read", read_limit.with_margin())],
            policy=policy,
        )

    def close(self) -> None:
        """Closes the connections."""
        self._wire.close()

    def ping(self) -> None:
        """One cheap authenticated call, not repeated.

        Raises:
            ProviderError: says whether the address, the key or the provider is the trouble.
        """
        self._call(
            "ping",
            Kind.READ,
            partial(_read_objects, self._api.suppression.bounces, {"limit": 1}),
            policy=ONE_TRY,
        )

    def send_email(self, message: EmailMessage, *, paced: bool = False) -> str:
        """Sends one email.

        Args:
            message: the email.
            paced: the caller keeps to :attr:`send_bucket` itself, and repeats what was not sent
                itself: one attempt, at once.

        Returns:
            SendGrid's ``X-Message-Id``, the first part of every event's ``sg_message_id``; empty
            if SendGrid gave none.

        Raises:
            NotSent: it certainly did not go out.
            Rejected: SendGrid refused it; ``code`` names the field at fault.
            Unknown: it may have gone out; its events will carry ``custom_args``.
        """
        body = message.body()

        def attempt() -> str:
            response = self._api.mail.send.post(request_body=body)
            return str(response.headers.get("X-Message-Id") or "")

        if paced:
            return self._call("send_email", Kind.ONCE, attempt, buckets=(), policy=ONE_TRY)
        return self._call("send_email", Kind.ONCE, attempt, buckets=[self._send_bucket])

    def iter_suppressions(
        self, kind: SuppressionKind, since: datetime | None = None
    ) -> Iterator[list[JsonObject]]:
        """Pages of suppressed addresses of one kind, added at ``since`` or later.

        Each entry holds ``email`` and ``created`` (epoch seconds), most also ``reason``.
        """
        endpoint = getattr(self._api.suppression, kind)
        query: dict[str, Any] = {"limit": SUPPRESSION_PAGE, "offset": 0}
        if since is not None:
            if since.tzinfo is None:
                raise ValueError("a time without a time zone")
            query["start_time"] = int(since.timestamp())
        before: list[JsonObject] | None = None
        while True:
            entries = self._call(
                f"list_{kind}", Kind.READ, partial(_read_objects, endpoint, dict(query))
            )
            if not entries:
                return
            must_advance(SENDGRID, f"list_{kind}", before, entries)
            yield entries
            query["offset"] += len(entries)
            before = entries

    def search_activity(self, query: str, limit: int = 1000) -> list[JsonObject]:
        """Emails that match a query of the email activity feed, newest first.

        Args:
            query: SendGrid's query language, such as ``(unique_args['send_id']="...")``.
            limit: 1 to 1000.
        """

        def attempt() -> list[JsonObject]:
            answer = _json(self._api.messages.get(query_params={"query": query, "limit": limit}))
            messages = answer.get("messages") if isinstance(answer, dict) else None
            if not isinstance(messages, list):
                raise bad_answer(SENDGRID)
            return messages

        return self._call("search_activity", Kind.READ, attempt, buckets=[self._activity_bucket])

    def _call(
        self,
        operation: str,
        kind: Kind,
        attempt: Callable[[], T],
        *,
        buckets: Sequence[Bucket] | None = None,
        policy: RetryPolicy | None = None,
    ) -> T:
        return self._channel.call(operation, kind, attempt, buckets=buckets, policy=policy)


def _json(response: Any) -> Any:
    try:
        return json.loads(response.body)
    except (ValueError, TypeError):
        raise bad_answer(SENDGRID) from None


def _read_objects(endpoint: Any, query: Mapping[str, Any]) -> list[JsonObject]:
    entries = _json(endpoint.get(query_params=query))
    if not isinstance(entries, list):
        raise bad_answer(SENDGRID)
    return entries
