"""The five providers as the gateway sees them: who may enter, how often, what refusals look like."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from providers.sandbox import anthropic as anthropic_module
from providers.sandbox import apollo as apollo_module
from providers.sandbox import limits
from providers.sandbox.ghl import common as ghl_common
from providers.sandbox.ghl.areas import make_areas
from providers.sandbox.limits import Windows
from providers.sandbox.sendgrid import api as sendgrid_module
from providers.sandbox.state import Sandbox
from providers.sandbox.twilio import api as twilio_module
from providers.sandbox.wire import Refusal, Reply, Request, Route, Router

Headers = list[tuple[str, str]]


class Account(Protocol):
    """One provider's account."""

    router: Router

    def admit(self, request: Request, route: Route) -> Headers:
        """Checks credentials and limits; gives the headers every answer carries.

        Raises:
            Refusal: 401, 403 or 429, as the provider words it.
        """
        ...

    def too_many(self) -> Reply:
        """A 429 of this provider."""
        ...

    def broken(self, status: int) -> Reply:
        """An answer with any other failing status."""
        ...

    def unknown(self, request: Request, status: int) -> Reply:
        """The answer to a path (404) or method (405) that does not exist."""
        ...


class GhlAccount:
    """HighLevel: a token and a limit per location; the ``Version`` header of each operation."""

    def __init__(self, sandbox: Sandbox, windows: Windows, *, unlimited: bool) -> None:
        self.router = Router()
        for area in make_areas(sandbox):
            area.routes(self.router)
        self._windows, self._unlimited = windows, unlimited
        self._locations = {
            f"Bearer {e['token']}": e["id"] for e in sandbox.credentials["ghl"]["locations"]
        }

    def admit(self, request: Request, route: Route) -> Headers:
        """Token, version, limits, in HighLevel's order."""
        given = request.headers.get("authorization", "")
        location = self._locations.get(given)
        if location is None:
            text = "Invalid token: access token is invalid" if given else "Invalid JWT"
            raise ghl_common.refuse(401, text)
        request.location_id = location
        version = request.headers.get("version")
        if version is None:
            raise ghl_common.refuse(401, "version header was not found.")
        if version != route.version:
            raise ghl_common.refuse(401, "version header is invalid")
        if self._unlimited:
            return []
        burst = self._windows.take(f"ghl:{location}", limits.GHL_BURST, time.monotonic())
        day = datetime.now(UTC).toordinal()
        daily = self._windows.take_daily(f"ghl:{location}", limits.GHL_DAILY, day)
        headers = [
            ("X-RateLimit-Limit-Daily", str(limits.GHL_DAILY)),
            ("X-RateLimit-Daily-Remaining", str(daily.remaining)),
            ("X-RateLimit-Interval-Milliseconds", str(int(limits.GHL_BURST.seconds * 1000))),
            ("X-RateLimit-Max", str(limits.GHL_BURST.count)),
            ("X-RateLimit-Remaining", str(burst.remaining)),
        ]
        if not (burst.allowed and daily.allowed):
            answer = self.too_many()
            answer.headers = headers
            raise Refusal(answer)
        return headers

    def too_many(self) -> Reply:
        """See :class:`Account`."""
        return ghl_common.too_many(0.0)

    def broken(self, status: int) -> Reply:
        """See :class:`Account`."""
        return ghl_common.broken(status)

    def unknown(self, request: Request, status: int) -> Reply:
        """See :class:`Account`."""
        return ghl_common.refuse(404, f"Cannot {request.method} {request.path}").answer


class TwilioAccount:
    """Twilio: basic authentication and one limit for the account."""

    def __init__(self, sandbox: Sandbox, windows: Windows, *, unlimited: bool) -> None:
        self.router = Router()
        self._api = twilio_module.TwilioApi(sandbox)
        self._api.routes(self.router)
        self._windows, self._unlimited = windows, unlimited

    def admit(self, request: Request, route: Route) -> Headers:
        """Credentials, account, limit."""
        self._api.authenticate(request)
        self._api.check_account(request)
        if self._unlimited:
            return []
        take = self._windows.take("twilio", limits.TWILIO_API, time.monotonic())
        if not take.allowed:
            answer = self.too_many()
            answer.headers = [("Retry-After", "1")]
            raise Refusal(answer)
        return [("Twilio-Concurrent-Requests", "1")]

    def too_many(self) -> Reply:
        """See :class:`Account`."""
        return twilio_module.too_many(0.0)

    def broken(self, status: int) -> Reply:
        """See :class:`Account`."""
        return twilio_module.broken(status)

    def unknown(self, request: Request, status: int) -> Reply:
        """See :class:`Account`."""
        if status == 405:
            return twilio_module.refuse(405, 20004, "Method not allowed").answer
        text = f"The requested resource {request.path} was not found"
        return twilio_module.refuse(404, 20404, text).answer


class SendGridAccount:
    """SendGrid: an API key, and a limit per endpoint with its three headers."""

    def __init__(self, sandbox: Sandbox, windows: Windows, *, unlimited: bool) -> None:
        self.router = Router()
        self._api = sendgrid_module.SendGridApi(sandbox)
        self._api.routes(self.router)
        self._windows, self._unlimited = windows, unlimited

    def admit(self, request: Request, route: Route) -> Headers:
        """Credentials, limit."""
        self._api.authenticate(request)
        if self._unlimited:
            return []
        limit = limits.SENDGRID[route.limit]
        now = time.monotonic()
        take = self._windows.take(f"sendgrid:{route.limit}", limit, now)
        reset = int(time.time() + (take.retry_after or limit.seconds)) + 1
        headers = [
            ("X-RateLimit-Limit", str(limit.count)),
            ("X-RateLimit-Remaining", str(take.remaining)),
            ("X-RateLimit-Reset", str(reset)),
        ]
        if not take.allowed:
            answer = self.too_many()
            answer.headers = headers
            raise Refusal(answer)
        return headers

    def too_many(self) -> Reply:
        """See :class:`Account`."""
        return sendgrid_module.too_many(0.0)

    def broken(self, status: int) -> Reply:
        """See :class:`Account`."""
        return sendgrid_module.broken(status)

    def unknown(self, request: Request, status: int) -> Reply:
        """See :class:`Account`."""
        text = "method not allowed" if status == 405 else "not found"
        return sendgrid_module.refuse(status, text).answer


class ApolloAccount:
    """Apollo: a key, per-minute limits told in headers, ``retry-after`` on a 429."""

    def __init__(self, sandbox: Sandbox, windows: Windows, *, unlimited: bool) -> None:
        self.router = Router()
        self._api = apollo_module.ApolloApi(sandbox)
        self._api.routes(self.router)
        self._windows, self._unlimited = windows, unlimited

    def admit(self, request: Request, route: Route) -> Headers:
        """Key, limit."""
        self._api.authenticate(request)
        if self._unlimited:
            return []
        take = self._windows.take("apollo", limits.APOLLO, time.monotonic())
        headers = [
            ("x-rate-limit-minute", str(limits.APOLLO.count)),
            ("x-minute-usage", str(limits.APOLLO.count - take.remaining)),
            ("x-minute-requests-left", str(take.remaining)),
        ]
        if not take.allowed:
            answer = self.too_many()
            answer.headers = [*headers, ("retry-after", str(int(take.retry_after) + 1))]
            raise Refusal(answer)
        return headers

    def too_many(self) -> Reply:
        """See :class:`Account`."""
        return apollo_module.too_many()

    def broken(self, status: int) -> Reply:
        """See :class:`Account`."""
        return apollo_module.refuse(status, "An unexpected error occurred").answer

    def unknown(self, request: Request, status: int) -> Reply:
        """See :class:`Account`."""
        return apollo_module.refuse(status, "Not found").answer


class AnthropicAccount:
    """Anthropic: a key and a version, a per-minute limit with its headers."""

    def __init__(self, sandbox: Sandbox, windows: Windows, *, unlimited: bool) -> None:
        self.router = Router()
        self._api = anthropic_module.AnthropicApi(sandbox)
        self._api.routes(self.router)
        self._windows, self._unlimited = windows, unlimited

    def admit(self, request: Request, route: Route) -> Headers:
        """Key, version, limit."""
        self._api.authenticate(request)
        if self._unlimited:
            return []
        take = self._windows.take("anthropic", limits.ANTHROPIC, time.monotonic())
        reset = datetime.fromtimestamp(time.time() + limits.ANTHROPIC.seconds, UTC)
        headers = [
            ("anthropic-ratelimit-requests-limit", str(limits.ANTHROPIC.count)),
            ("anthropic-ratelimit-requests-remaining", str(take.remaining)),
            ("anthropic-ratelimit-requests-reset", reset.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ]
        if not take.allowed:
            answer = self.too_many()
            answer.headers = [*headers, ("retry-after", str(int(take.retry_after) + 1))]
            raise Refusal(answer)
        return headers

    def too_many(self) -> Reply:
        """See :class:`Account`."""
        return anthropic_module.refuse(429, "This request would exceed the rate limit.").answer

    def broken(self, status: int) -> Reply:
        """See :class:`Account`."""
        return anthropic_module.refuse(status, "Internal server error").answer

    def unknown(self, request: Request, status: int) -> Reply:
        """See :class:`Account`."""
        return anthropic_module.refuse(status, "Not found").answer


def make_accounts(sandbox: Sandbox, *, unlimited: bool) -> dict[str, Account]:
    """All accounts by the first part of their paths."""
    windows = Windows()
    makers: dict[str, Callable[..., Account]] = {
        "ghl": GhlAccount,
        "twilio": TwilioAccount,
        "sendgrid": SendGridAccount,
        "apollo": ApolloAccount,
        "anthropic": AnthropicAccount,
    }
    return {name: make(sandbox, windows, unlimited=unlimited) for name, make in makers.items()}
