"""Apollo: finds the employer and title of a person, over HTTP (Apollo publishes no SDK)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from pydantic import SecretStr

from providers.core import ONE_TRY, Bucket, Channel, Kind, RetryPolicy
from providers.http import (
    JsonObject,
    Provider,
    bad_answer,
    new_client,
    parse_json,
    refusal,
    send,
)
from providers.limits import DEFAULT_LIMITS, RateLimit, RateLimiter
from providers.quiet import silence

T = TypeVar("T")

APOLLO = Provider("apollo", "Apollo", "APOLLO_BASE_URL", "APOLLO_API_KEY")
BULK_SIZE = 10
"""People a bulk request may name."""


class ApolloClient:
    """One Apollo account. A match costs credits; personal emails and phones are never asked for.

    Args:
        base_url: the API's root, ``.../api/v1``, without a trailing slash.
        api_key: sent as ``x-api-key``.
        limiter: counts requests.
        limit: the plan's limit.
        policy: how often calls are repeated.
    """

    def __init__(
        self,
        base_url: str,
        api_key: SecretStr,
        *,
        limiter: RateLimiter,
        limit: RateLimit = DEFAULT_LIMITS.apollo,
        policy: RetryPolicy | None = None,
    ) -> None:
        silence()
        self._api_key = api_key
        self._http = new_client(base_url, {"Accept": "application/json"})
        self._channel = Channel(
            APOLLO.name,
            limiter=limiter,
            buckets=[Bucket("apollo", limit.with_margin())],
            policy=policy,
        )

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def ping(self) -> None:
        """One cheap authenticated call, not repeated; it costs no credits.

        Raises:
            ProviderError: says whether the address, the key or the provider is the trouble.
        """
        self._call("ping", "GET", "/auth/health", _health, policy=ONE_TRY)

    def match_person(self, **identifiers: str) -> JsonObject | None:
        """The person that ``identifiers`` describe, None if Apollo knows nobody.

        Args:
            identifiers: Apollo's names: ``email``, ``first_name``, ``last_name``, ``domain``, ...
        """
        return self._call("match_person", "POST", "/people/match", _person, dict(identifiers))

    def bulk_match(self, people: Sequence[Mapping[str, str]]) -> list[JsonObject | None]:
        """Like :meth:`match_person` for many, ten a request.

        Returns:
            One entry per person, in the same order; None where Apollo knows nobody.
        """
        found: list[JsonObject | None] = []
        for start in range(0, len(people), BULK_SIZE):
            chunk = [dict(person) for person in people[start : start + BULK_SIZE]]
            found += self._call(
                "bulk_match",
                "POST",
                "/people/bulk_match",
                partial(_matches, len(chunk)),
                {"details": chunk},
            )
        return found

    def _call(
        self,
        operation: str,
        method: str,
        path: str,
        parse: Callable[[Any], T],
        body: JsonObject | None = None,
        policy: RetryPolicy | None = None,
    ) -> T:
        def attempt() -> T:
            request = self._http.build_request(
                method, path, json=body, headers={"x-api-key": self._api_key.get_secret_value()}
            )
            return parse(parse_json(APOLLO, send(self._http, APOLLO, request)))

        # A look-up changes nothing, so it counts as a read; a repeat may cost one more credit.
        return self._channel.call(operation, Kind.READ, attempt, policy=policy)


def _health(body: Any) -> None:
    if not isinstance(body, dict):
        raise bad_answer(APOLLO)
    if body.get("is_logged_in") is False:
        raise refusal(APOLLO, 401, {})


def _person(body: Any) -> JsonObject | None:
    if not isinstance(body, dict):
        raise bad_answer(APOLLO)
    person = body.get("person")
    return person if isinstance(person, dict) else None


def _matches(size: int, body: Any) -> list[JsonObject | None]:
    matches = body.get("matches") if isinstance(body, dict) else None
    if not isinstance(matches, list) or len(matches) != size:
        raise bad_answer(APOLLO)
    return [match if isinstance(match, dict) else None for match in matches]
