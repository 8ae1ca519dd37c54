"""Twilio Lookup, version 2: what kind of line a number is. Paid per number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from providers.core import Bucket, Channel, Kind, RetryPolicy
from providers.http import Provider, bad_answer, new_client, parse_json, send
from providers.limits import DEFAULT_LIMITS, RateLimit, RateLimiter
from providers.quiet import silence

LOOKUPS = Provider(
    "twilio_lookups",
    "Twilio Lookup",
    "TWILIO_LOOKUPS_BASE_URL",
    "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN",
)


@dataclass(frozen=True, slots=True)
class Line:
    """What Twilio says of a number.

    Attributes:
        address: E.164.
        is_valid: whether a carrier can give out the number.
        line_type: ``mobile``, ``landline``, ``fixedVoip``, ``nonFixedVoip``, ``tollFree``, ...;
            None where the carrier does not say.
    """

    address: str
    is_valid: bool
    line_type: str | None


class LookupsClient:
    """Asks about numbers of one Twilio account.

    Args:
        base_url: ``https://lookups.twilio.com``.
        account_sid: the account.
        auth_token: its token.
        limiter: counts requests.
        limit: how many requests the account may make.
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
        self._http = new_client(base_url, auth=(account_sid, auth_token.get_secret_value()))
        self._channel = Channel(
            LOOKUPS.name,
            limiter=limiter,
            buckets=[Bucket(f"twilio_lookups:{account_sid}", limit.with_margin())],
            policy=policy,
        )

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def line(self, number: str) -> Line:
        """What kind of line a number is.

        Args:
            number: E.164.

        Raises:
            ProviderError: Twilio did not answer, or refused the account.
        """

        def attempt() -> Line:
            request = self._http.build_request(
                "GET",
                f"/v2/PhoneNumbers/{quote(number, safe='')}",
                params={"Fields": "line_type_intelligence"},
            )
            return _line(number, parse_json(LOOKUPS, send(self._http, LOOKUPS, request)))

        # It changes nothing, so it counts as a read; a repeat may be billed once more.
        return self._channel.call("lookup_line", Kind.READ, attempt)


def _line(number: str, body: Any) -> Line:
    if not isinstance(body, dict) or not isinstance(body.get("valid"), bool):
        raise bad_answer(LOOKUPS)
    told = body.get("line_type_intelligence")
    kind = told.get("type") if isinstance(told, dict) else None
    return Line(number, body["valid"], kind if isinstance(kind, str) and kind else None)
