"""How a request reaches HighLevel, and what its answers must look like.

Requests follow the published OpenAPI documents (``highlevel-api-docs``, 2026-06-19); each
operation sends the ``Version`` that its document asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import SecretStr

from providers.core import Bucket, Channel, Kind, RetryPolicy
from providers.errors import Rejected, Unknown
from providers.http import JsonObject, Provider, bad_answer, new_client, parse_json, send
from providers.limits import DEFAULT_LIMITS, RateLimit, RateLimiter
from providers.quiet import silence

T = TypeVar("T")

GHL = Provider("ghl", "GoHighLevel", "GHL_BASE_URL", "GHL_TOKEN")
VERSION = "2021-07-28"
CONVERSATIONS_VERSION = "2021-04-15"
CALENDARS_VERSION = "2021-04-15"


class GhlTransport:
    """One location's connection to HighLevel.

    Args:
        base_url: the API's root, without a trailing slash.
        token: private integration token or OAuth access token of this location.
        location_id: the location that all calls are for.
        limiter: counts requests; 95 % of the location's limits are used.
        policy: how often calls are repeated.
        burst_limit: the provider's limit for short spans.
        daily_limit: the provider's limit for a day.
    """

    def __init__(
        self,
        base_url: str,
        token: SecretStr,
        location_id: str,
        *,
        limiter: RateLimiter,
        policy: RetryPolicy | None = None,
        burst_limit: RateLimit = DEFAULT_LIMITS.ghl,
        daily_limit: RateLimit = DEFAULT_LIMITS.ghl_daily,
    ) -> None:
        silence()
        self.location_id = location_id
        self._token = token
        self._http = new_client(base_url, {"Accept": "application/json"})
        self._channel = Channel(
            GHL.name,
            limiter=limiter,
            buckets=[
                Bucket(f"ghl:{location_id}", burst_limit.with_margin()),
                Bucket(f"ghl:{location_id}:day", daily_limit.with_margin()),
            ],
            policy=policy,
        )

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def _call(
        self,
        operation: str,
        kind: Kind,
        method: str,
        path: str,
        parse: Callable[[Any], T],
        *,
        body: JsonObject | None = None,
        params: Mapping[str, Any] | None = None,
        version: str = VERSION,
        policy: RetryPolicy | None = None,
        unclear: int | None = None,
    ) -> T:
        """Calls one operation; ``parse`` takes the answer's JSON and returns what is wanted of it.

        ``unclear`` is a status that does not exclude that the effect happened.
        """

        def attempt() -> T:
            request = self._http.build_request(
                method,
                path,
                json=body,
                params=params,
                headers={
                    "Version": version,
                    "Authorization": f"Bearer {self._token.get_secret_value()}",
                },
            )
            try:
                response = send(self._http, GHL, request)
            except Rejected as error:
                if error.status == unclear:
                    raise _unclear(error) from None
                raise
            return parse(parse_json(GHL, response))

        return self._channel.call(operation, kind, attempt, policy=policy)


def _unclear(error: Rejected) -> Unknown:
    return Unknown(
        f"GoHighLevel answered {error.operation} with HTTP {error.status}, "
        "which does not say that nothing was done.",
        provider=error.provider,
        operation=error.operation,
        status=error.status,
        code=error.code,
        reason="unclear",
        reference=error.reference,
    )


def with_list(key: str) -> Callable[[Any], JsonObject]:
    """A parser of objects that hold a list under ``key``.

    The items are not looked at: one broken record is for the loader to set aside, and must not
    keep the others of its page from being loaded.
    """

    def parse(body: Any) -> JsonObject:
        if not isinstance(body, dict) or not isinstance(body.get(key), list):
            raise bad_answer(GHL)
        return body

    return parse


def list_in(key: str) -> Callable[[Any], list[JsonObject]]:
    """A parser that takes the list under ``key``, see :func:`with_list`."""
    parse = with_list(key)
    return lambda body: list(parse(body)[key])


def object_in(key: str) -> Callable[[Any], JsonObject]:
    """A parser that takes the object under ``key``."""

    def parse(body: Any) -> JsonObject:
        item = body.get(key) if isinstance(body, dict) else None
        if not isinstance(item, dict):
            raise bad_answer(GHL)
        return item

    return parse


def number_in(key: str) -> Callable[[Any], int]:
    """A parser that takes the whole number under ``key``."""

    def parse(body: Any) -> int:
        number = body.get(key) if isinstance(body, dict) else None
        if not isinstance(number, int) or isinstance(number, bool):
            raise bad_answer(GHL)
        return number

    return parse


def any_object(body: Any) -> JsonObject:
    """A parser of any JSON object."""
    if not isinstance(body, dict):
        raise bad_answer(GHL)
    return body


def segment(identifier: str) -> str:
    """An id as one segment of a path, whatever it holds."""
    return quote(identifier, safe="")


def iso(moment: datetime) -> str:
    """A moment as HighLevel writes it: UTC with milliseconds.

    Raises:
        ValueError: the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without a time zone")
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def milliseconds(moment: datetime) -> int:
    """A moment as milliseconds since the epoch.

    Raises:
        ValueError: the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without a time zone")
    return int(moment.timestamp() * 1000)
