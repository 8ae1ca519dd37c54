"""The five providers as the gateway sees them: who may enter, how often, how they refuse."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from providers.sandbox import anthropic, apollo, limits
from providers.sandbox.ghl import common as ghl
from providers.sandbox.ghl.areas import make_areas
from providers.sandbox.limits import Windows
from providers.sandbox.sendgrid import api as sendgrid
from providers.sandbox.state import Sandbox
from providers.sandbox.twilio import api as twilio
from providers.sandbox.wire import Refusal, Reply, Request, Route, Router

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Account:
    """One provider's account.

    Attributes:
        router: its operations.
        authenticate: checks credentials (and versions); raises Refusal as the provider words it.
        count: books a request at the rate limits: whether it may pass, and the headers about it.
        too_many: the body of a 429.
        broken: an answer with any other failing status; where the work was done, it is told what
            would have been answered.
        unknown: the answer to a path (404) or method (405) that does not exist.
    """

    router: Router
    authenticate: Callable[[Request, Route], None]
    count: Callable[[Request, Route], tuple[bool, Headers]]
    too_many: Callable[[], Reply]
    broken: Callable[[int, Reply | None], Reply]
    unknown: Callable[[Request, int], Reply]

    def admit(self, request: Request, route: Route, *, unlimited: bool) -> Headers:
        """Lets a request in; gives the headers that its answer carries.

        Raises:
            Refusal: 401, 403 or 429.
        """
        self.authenticate(request, route)
        if unlimited:
            return []
        allowed, headers = self.count(request, route)
        if not allowed:
            answer = self.too_many()
            answer.headers = headers
            raise Refusal(answer)
        return headers


def _ghl(sandbox: Sandbox, windows: Windows) -> Account:
    """A token and a limit per location; the ``Version`` header of each operation."""
    router = Router()
    for area in make_areas(sandbox):
        area.routes(router)
    locations = {f"Bearer {e['token']}": e["id"] for e in sandbox.credentials["ghl"]["locations"]}

    def authenticate(request: Request, route: Route) -> None:
        given = request.headers.get("authorization", "")
        location = locations.get(given)
        if location is None:
            text = "Invalid token: access token is invalid" if given else "Invalid JWT"
            raise ghl.refuse(401, text)
        request.location_id = location
        version = request.headers.get("version")
        if version is None:
            raise ghl.refuse(401, "version header was not found.")
        if version != route.version:
            raise ghl.refuse(401, "version header is invalid")

    def count(request: Request, _route: Route) -> tuple[bool, Headers]:
        name = f"ghl:{request.location_id}"
        burst = windows.take(name, limits.GHL_BURST, time.monotonic())
        daily = windows.take_daily(name, limits.GHL_DAILY, datetime.now(UTC).toordinal())
        return burst.allowed and daily.allowed, [
            ("X-RateLimit-Limit-Daily", str(limits.GHL_DAILY)),
            ("X-RateLimit-Daily-Remaining", str(daily.remaining)),
            ("X-RateLimit-Interval-Milliseconds", str(int(limits.GHL_BURST.seconds * 1000))),
            ("X-RateLimit-Max", str(limits.GHL_BURST.count)),
            ("X-RateLimit-Remaining", str(burst.remaining)),
        ]

    def unknown(request: Request, _status: int) -> Reply:
        return ghl.refuse(404, f"Cannot {request.method} {request.path}").answer

    return Account(router, authenticate, count, ghl.too_many, ghl.broken, unknown)


def _twilio(sandbox: Sandbox, windows: Windows) -> Account:
    """Basic authentication and one limit for the account."""
    router, api = Router(), twilio.TwilioApi(sandbox)
    api.routes(router)

    def count(_request: Request, _route: Route) -> tuple[bool, Headers]:
        take = windows.take("twilio", limits.TWILIO_API, time.monotonic())
        if take.allowed:
            return True, [("Twilio-Concurrent-Requests", "1")]
        return False, [("Retry-After", str(int(take.retry_after) + 1))]

    def unknown(request: Request, status: int) -> Reply:
        if status == 405:
            return twilio.refuse(405, 20004, "Method not allowed").answer
        text = f"The requested resource {request.path} was not found"
        return twilio.refuse(404, 20404, text).answer

    return Account(router, api.authenticate, count, twilio.too_many, twilio.broken, unknown)


def _sendgrid(sandbox: Sandbox, windows: Windows) -> Account:
    """An API key, and a limit per endpoint with its three headers."""
    router, api = Router(), sendgrid.SendGridApi(sandbox)
    api.routes(router)

    def count(_request: Request, route: Route) -> tuple[bool, Headers]:
        limit = limits.SENDGRID[route.limit]
        take = windows.take(f"sendgrid:{route.limit}", limit, time.monotonic())
        reset = int(time.time() + (take.retry_after or limit.seconds)) + 1
        return take.allowed, [
            ("X-RateLimit-Limit", str(limit.count)),
            ("X-RateLimit-Remaining", str(take.remaining)),
            ("X-RateLimit-Reset", str(reset)),
        ]

    def unknown(_request: Request, status: int) -> Reply:
        text = "method not allowed" if status == 405 else "not found"
        return sendgrid.refuse(status, text).answer

    return Account(router, api.authenticate, count, sendgrid.too_many, sendgrid.broken, unknown)


def _apollo(sandbox: Sandbox, windows: Windows) -> Account:
    """A key, a limit per minute told in headers, ``retry-after`` on a 429."""
    router, api = Router(), apollo.ApolloApi(sandbox)
    api.routes(router)

    def count(_request: Request, _route: Route) -> tuple[bool, Headers]:
        take = windows.take("apollo", limits.APOLLO, time.monotonic())
        headers = [
            ("x-rate-limit-minute", str(limits.APOLLO.count)),
            ("x-minute-usage", str(limits.APOLLO.count - take.remaining)),
            ("x-minute-requests-left", str(take.remaining)),
        ]
        if not take.allowed:
            headers.append(("retry-after", str(int(take.retry_after) + 1)))
        return take.allowed, headers

    return Account(
        router,
        api.authenticate,
        count,
        apollo.too_many,
        lambda status, _done: apollo.refuse(status, "An unexpected error occurred").answer,
        lambda _request, status: apollo.refuse(status, "Not found").answer,
    )


def _anthropic(sandbox: Sandbox, windows: Windows) -> Account:
    """A key and a version, a limit per minute with its headers."""
    router, api = Router(), anthropic.AnthropicApi(sandbox)
    api.routes(router)

    def count(_request: Request, _route: Route) -> tuple[bool, Headers]:
        take = windows.take("anthropic", limits.ANTHROPIC, time.monotonic())
        reset = datetime.fromtimestamp(time.time() + limits.ANTHROPIC.seconds, UTC)
        headers = [
            ("anthropic-ratelimit-requests-limit", str(limits.ANTHROPIC.count)),
            ("anthropic-ratelimit-requests-remaining", str(take.remaining)),
            ("anthropic-ratelimit-requests-reset", reset.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ]
        if not take.allowed:
            headers.append(("retry-after", str(int(take.retry_after) + 1)))
        return take.allowed, headers

    return Account(
        router,
        api.authenticate,
        count,
        lambda: anthropic.refuse(429, "This request would exceed the rate limit.").answer,
        lambda status, _done: anthropic.refuse(status, "Internal server error").answer,
        lambda _request, status: anthropic.refuse(status, "Not found").answer,
    )


def make_accounts(sandbox: Sandbox) -> dict[str, Account]:
    """All accounts by the first part of their paths."""
    windows = Windows()
    return {
        "ghl": _ghl(sandbox, windows),
        "twilio": _twilio(sandbox, windows),
        "sendgrid": _sendgrid(sandbox, windows),
        "apollo": _apollo(sandbox, windows),
        "anthropic": _anthropic(sandbox, windows),
    }
