"""Builds the clients that the settings describe."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeVar

from leadengine.errors import SettingsError
from leadengine.settings import Settings
from providers.core import RetryPolicy
from providers.limits import ProviderLimits, RateLimiter, limits_of, location_limits

# The SDKs take a second to import: each client is imported when it is first used.
if TYPE_CHECKING:
    from providers.apollo import ApolloClient
    from providers.claude import ClaudeClient
    from providers.ghl import GhlClient
    from providers.lookups import LookupsClient
    from providers.sendgrid import SendGridClient
    from providers.twilio import TwilioClient

T = TypeVar("T")
_C = TypeVar("_C", bound="_Closable")


class _Closable(Protocol):
    def close(self) -> None: ...


class Clients:
    """All providers' clients, each built when it is first used and then kept.

    Safe to share between threads. Close it, or use it as a context manager. ``limiter`` is what
    all of them count with, for a caller that paces itself.
    """

    def __init__(
        self,
        settings: Settings,
        limiter: RateLimiter,
        *,
        limits: ProviderLimits | None = None,
        policy: RetryPolicy | None = None,
    ) -> None:
        self._settings = settings
        self.limiter = limiter
        self._limits = limits or limits_of(settings)
        self._policy = policy
        self._opened: list[_Closable] = []

    @cached_property
    def ghl(self) -> dict[str, GhlClient]:
        """GoHighLevel, one client per location id.

        Raises:
            SettingsError: no location is configured; names the variable.
        """
        from providers.ghl import GhlClient

        clients = {}
        for location in self._settings.locations():
            burst, daily = location_limits(location, self._limits)
            clients[location.location_id] = self._kept(
                GhlClient(
                    self._settings.ghl_base_url,
                    location.token,
                    location.location_id,
                    limiter=self.limiter,
                    burst_limit=burst,
                    daily_limit=daily,
                    policy=self._policy,
                )
            )
        return clients

    @cached_property
    def twilio(self) -> TwilioClient:
        """Twilio.

        Raises:
            SettingsError: its account is not configured; names the variable.
        """
        from providers.twilio import TwilioClient

        settings = self._settings
        return self._kept(
            TwilioClient(
                settings.twilio_base_url,
                _required(settings.twilio_account_sid, "TWILIO_ACCOUNT_SID", "send or read SMS"),
                _required(settings.twilio_auth_token, "TWILIO_AUTH_TOKEN", "send or read SMS"),
                limiter=self.limiter,
                limit=self._limits.twilio,
                policy=self._policy,
            )
        )

    @cached_property
    def lookups(self) -> LookupsClient:
        """Twilio Lookup, on Twilio's account.

        Raises:
            SettingsError: the account is not configured; names the variable.
        """
        from providers.lookups import LookupsClient

        settings = self._settings
        return self._kept(
            LookupsClient(
                settings.twilio_lookups_base_url,
                _required(settings.twilio_account_sid, "TWILIO_ACCOUNT_SID", "look up a number"),
                _required(settings.twilio_auth_token, "TWILIO_AUTH_TOKEN", "look up a number"),
                limiter=self.limiter,
                limit=self._limits.twilio,
                policy=self._policy,
            )
        )

    @cached_property
    def sendgrid(self) -> SendGridClient:
        """SendGrid.

        Raises:
            SettingsError: its key is not configured; names the variable.
        """
        from providers.sendgrid import SendGridClient

        settings = self._settings
        return self._kept(
            SendGridClient(
                settings.sendgrid_base_url,
                _required(settings.sendgrid_api_key, "SENDGRID_API_KEY", "send or read email"),
                limiter=self.limiter,
                send_limit=self._limits.sendgrid_send,
                read_limit=self._limits.sendgrid_read,
                activity_limit=self._limits.sendgrid_activity,
                policy=self._policy,
            )
        )

    @cached_property
    def apollo(self) -> ApolloClient | None:
        """Apollo, None when APOLLO_API_KEY is not set."""
        if self._settings.apollo_api_key is None:
            return None
        from providers.apollo import ApolloClient

        return self._kept(
            ApolloClient(
                self._settings.apollo_base_url,
                self._settings.apollo_api_key,
                limiter=self.limiter,
                limit=self._limits.apollo,
                policy=self._policy,
            )
        )

    @cached_property
    def claude(self) -> ClaudeClient | None:
        """Claude, None when ANTHROPIC_API_KEY is not set."""
        if self._settings.anthropic_api_key is None:
            return None
        from providers.claude import ClaudeClient

        return self._kept(
            ClaudeClient(
                self._settings.anthropic_base_url,
                self._settings.anthropic_api_key,
                limiter=self.limiter,
                limit=self._limits.claude,
                policy=self._policy,
            )
        )

    def close(self) -> None:
        """Closes all connections; the clients cannot be used any more."""
        while self._opened:
            self._opened.pop().close()

    def __enter__(self) -> Clients:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _kept(self, client: _C) -> _C:
        self._opened.append(client)
        return client


def _required(value: T | None, variable: str, purpose: str) -> T:
    if not value:
        raise SettingsError(
            f"{variable} is not set, so the engine cannot {purpose}.",
            remedy=f"Set {variable} in the environment or .env.",
        )
    return value


def build_clients(
    settings: Settings,
    limiter: RateLimiter,
    *,
    limits: ProviderLimits | None = None,
    policy: RetryPolicy | None = None,
) -> Clients:
    """The clients for ``settings``, under the limits that ``limiter`` counts.

    ``limits`` stand in for those of the settings.
    """
    return Clients(settings, limiter, limits=limits, policy=policy)
