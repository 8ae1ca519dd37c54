"""One HTTP request, and what its outcome says about the effect.

All clients but Claude's send through httpx or, below the official SDKs of Twilio and SendGrid,
through :mod:`providers.wire`; one place decides what a failure means.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from leadengine.log import get_logger
from providers.core import current_operation
from providers.errors import NotSent, ProviderError, Rejected, Unknown

log = get_logger("providers.http")

JsonObject = dict[str, Any]
"""A JSON object as the provider sent it."""

TIMEOUT = httpx.Timeout(30.0, connect=5.0, pool=5.0)

_CODE = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Provider:
    """How to speak of a provider, and which settings a person would look at."""

    name: str
    title: str
    url_variable: str
    credential_variable: str


def new_client(
    base_url: str,
    headers: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
) -> httpx.Client:
    """An httpx client for one provider; it follows no redirect, as a write could be lost in it.

    Idle connections are dropped before common servers drop them (5 s), since a request on a
    connection that the server is just closing gets no answer and would count as unknown.
    """
    return httpx.Client(
        base_url=base_url,
        headers=dict(headers or {}),
        auth=auth,
        timeout=TIMEOUT,
        follow_redirects=False,
        limits=httpx.Limits(max_connections=20, max_keepalive_connections=10, keepalive_expiry=3.0),
    )


def send(client: httpx.Client, provider: Provider, request: httpx.Request) -> httpx.Response:
    """Sends once and reads the whole answer.

    Returns:
        The answer, if its status is 2xx.

    Raises:
        NotSent: no connection came about, or HTTP 429.
        Rejected: any other 3xx or 4xx.
        Unknown: the connection broke or timed out after the request may have left, or HTTP 5xx.
    """
    started = time.monotonic()
    try:
        response = client.send(request)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
        raise unreachable(provider, str(client.base_url), error) from None
    except httpx.PoolTimeout as error:
        raise failure(NotSent, provider, "pool_timeout", error) from None
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL) as error:
        raise failure(NotSent, provider, "bad_url", error) from None
    except httpx.TimeoutException as error:
        raise failure(Unknown, provider, "timeout", error) from None
    except httpx.RequestError as error:
        raise failure(Unknown, provider, "connection_lost", error) from None
    # The path only: queries carry phone numbers and addresses.
    log.debug(
        "%s %s %s %s: %d in %.0f ms",
        provider.name,
        current_operation.get(),
        request.method,
        request.url.path,
        response.status_code,
        (time.monotonic() - started) * 1000,
    )
    answered(provider, response.status_code, response.headers, response.content)
    return response


def answered(provider: Provider, status: int, headers: Mapping[str, str], content: bytes) -> None:
    """Lets an answer with a status of 2xx pass.

    Raises:
        NotSent, Rejected, Unknown: what any other answer means, see :func:`send`.
    """
    if 200 <= status < 300:
        return
    body = _json_or_none(content)
    raise refusal(
        provider,
        status,
        headers,
        code=error_code(body),
        reference=error_reference(body),
    )


def unreachable(provider: Provider, base_url: str, error: Exception) -> NotSent:
    """No connection came about."""
    operation = current_operation.get()
    return NotSent(
        f"{provider.title} cannot be reached at {_without_credentials(base_url)} "
        f"({type(error).__name__}).",
        provider=provider.name,
        operation=operation,
        reason="connect",
        remedy=f"Check the network and {provider.url_variable}; nothing was sent.",
    )


def failure(
    kind: type[ProviderError], provider: Provider, reason: str, error: Exception
) -> ProviderError:
    """No usable answer; the cause is told by its type only, since its text may quote the URL."""
    operation = current_operation.get()
    return kind(
        f"{provider.title} gave no usable answer to {operation}: "
        f"{reason.replace('_', ' ')} ({type(error).__name__}).",
        provider=provider.name,
        operation=operation,
        reason=reason,
    )


def bad_answer(provider: Provider, status: int | None = None) -> Unknown:
    """The request succeeded by its status, but its body is not what this API answers."""
    operation = current_operation.get()
    return Unknown(
        f"{provider.title} answered {operation} with something that is not its API's answer.",
        provider=provider.name,
        operation=operation,
        status=status,
        reason="bad_answer",
        remedy=f"Check that {provider.url_variable} is the API's address.",
    )


def refusal(
    provider: Provider,
    status: int,
    headers: Mapping[str, str],
    *,
    code: str | None = None,
    reference: str | None = None,
) -> ProviderError:
    """What an answer with a ``status`` other than 2xx means."""
    operation = current_operation.get()
    lowered = {name.lower(): value for name, value in headers.items()}
    told = f"HTTP {status}" + (f", code {code}" if code else "")
    details: dict[str, Any] = {
        "provider": provider.name,
        "operation": operation,
        "status": status,
        "code": code,
        "reference": reference,
    }
    if status == 429:
        spent = lowered.get("x-ratelimit-daily-remaining") == "0"
        return NotSent(
            f"{provider.title} has no room for {operation} {'today' if spent else 'now'} ({told}).",
            reason="daily_limit" if spent else "rate_limited",
            retry_after=None if spent else wait_asked_for(lowered, time.time()),
            **details,
        )
    if status >= 500 or status == 408:
        return Unknown(
            f"{provider.title} failed at {operation} ({told}).",
            reason="server_error",
            retry_after=wait_asked_for(lowered, time.time()),
            **details,
        )
    return Rejected(
        f"{provider.title} refused {operation} ({told}).",
        reason="refused",
        remedy=_remedy(provider, status),
        **details,
    )


def _remedy(provider: Provider, status: int) -> str | None:
    if status in (401, 403):
        return f"Check {provider.credential_variable}: its value, and what it is allowed to do."
    if status < 400:
        return f"Check {provider.url_variable}: the server redirects elsewhere."
    if status in (404, 405):
        return f"Check the id, and that {provider.url_variable} is the API's address."
    return None


def wait_asked_for(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that the provider asks us to wait, None if it does not say.

    Understands ``Retry-After`` in seconds or as a date, HighLevel's length of the interval, and
    SendGrid's moment of reset (epoch seconds).

    Args:
        headers: the answer's, with lower-case names.
        now: epoch seconds.
    """
    after = headers.get("retry-after")
    if after is not None:
        seconds = _number(after)
        if seconds is not None:
            return max(0.0, seconds)
        try:
            return max(0.0, parsedate_to_datetime(after).timestamp() - now)
        except (TypeError, ValueError, OverflowError):
            return None
    interval = _number(headers.get("x-ratelimit-interval-milliseconds"))
    if interval is not None:
        return max(0.0, interval / 1000)
    reset = _number(headers.get("x-ratelimit-reset"))
    return None if reset is None else max(0.0, reset - now)


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and abs(value) < 1e12 else None


def error_code(body: object) -> str | None:
    """The provider's own error code in a JSON body: a code or field name, never free text."""
    if not isinstance(body, dict):
        return None
    candidates = [body.get("code")]
    error = body.get("error")
    candidates.append(error.get("type") if isinstance(error, dict) else None)
    errors = body.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        candidates.append(errors[0].get("field"))
    for candidate in candidates:
        if isinstance(candidate, int | str) and not isinstance(candidate, bool):
            text = str(candidate)
            if _CODE.fullmatch(text):
                return text
    return None


def error_reference(body: object) -> str | None:
    """The id of the thing that a refusal speaks of (HighLevel: the contact), if it does."""
    if not isinstance(body, dict):
        return None
    for key in ("meta", "contact"):
        part = body.get(key)
        found = (part.get("contactId") or part.get("id")) if isinstance(part, dict) else None
        if isinstance(found, str) and _ID.fullmatch(found):
            return found
    return None


def _json_or_none(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, UnicodeDecodeError):
        return None


def parse_json(provider: Provider, response: httpx.Response) -> Any:
    """The answer's body.

    Raises:
        Unknown: it is not JSON.
    """
    try:
        return response.json()
    except (ValueError, UnicodeDecodeError):
        raise bad_answer(provider, response.status_code) from None


def must_advance(provider: Provider, operation: str, before: object, after: object) -> None:
    """Stops a paging loop that the server would never let end.

    Raises:
        NotSent: two pages, or the cursors to two pages, that should differ are the same.
    """
    if before == after:
        raise NotSent(
            f"{provider.title} gave the same page of {operation} twice: the rest cannot be read.",
            provider=provider.name,
            operation=operation,
            reason="paging_stuck",
        )


def _without_credentials(url: str) -> str:
    parsed = httpx.URL(url)
    return str(parsed.copy_with(userinfo=b"", query=None))
