"""Claude: writes and reads text, through Anthropic's official SDK."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import anthropic
from anthropic.types import MessageParam
from pydantic import SecretStr

from providers.core import ONE_TRY, Bucket, Channel, Kind, RetryPolicy
from providers.errors import ProviderError, Unknown
from providers.http import Provider, bad_answer, error_code, failure, refusal, unreachable
from providers.limits import DEFAULT_LIMITS, RateLimit, RateLimiter
from providers.quiet import silence

T = TypeVar("T")

CLAUDE = Provider("claude", "Claude", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY")
DEFAULT_MODEL = "claude-haiku-4-5"
_NOT_CONNECTED = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol"})


@dataclass(frozen=True, slots=True)
class ClaudeReply:
    """The text that was written, why it ended, and what it cost in tokens."""

    text: str
    stop_reason: str | None
    model: str
    input_tokens: int
    output_tokens: int


class ClaudeClient:
    """One Anthropic workspace.

    Args:
        base_url: the API's root, without a trailing slash and without the version.
        api_key: the workspace's key.
        limiter: counts requests.
        limit: the tier's limit.
        policy: how often calls are repeated; the SDK's own retries are off.
    """

    def __init__(
        self,
        base_url: str,
        api_key: SecretStr,
        *,
        limiter: RateLimiter,
        limit: RateLimit = DEFAULT_LIMITS.claude,
        policy: RetryPolicy | None = None,
    ) -> None:
        silence()
        self._base_url = base_url
        self._sdk = anthropic.Anthropic(
            api_key=api_key.get_secret_value(),
            base_url=base_url,
            max_retries=0,
            timeout=anthropic.Timeout(120.0, connect=5.0),
        )
        self._channel = Channel(
            CLAUDE.name,
            limiter=limiter,
            buckets=[Bucket("claude", limit.with_margin())],
            policy=policy,
        )

    def close(self) -> None:
        """Closes the connections."""
        self._sdk.close()

    def ping(self) -> None:
        """One cheap authenticated call, not repeated; it costs no tokens.

        Raises:
            ProviderError: says whether the address, the key or the provider is the trouble.
        """
        self._call(
            "ping",
            lambda: (
                self._sdk.messages.count_tokens(
                    model=DEFAULT_MODEL, messages=[{"role": "user", "content": "ping"}]
                ).input_tokens
            ),
            policy=ONE_TRY,
        )

    def create_message(
        self,
        messages: Sequence[MessageParam],
        *,
        system: str | None = None,
        model: str = DEFAULT_MODEL,
        max_tokens: int = 1024,
    ) -> ClaudeReply:
        """Lets the model continue a conversation.

        Args:
            messages: the turns, ``{"role": "user", "content": ...}`` first.
            system: instructions that stand above the conversation.
            model: an Anthropic model id.
            max_tokens: the answer's length at most.
        """

        def attempt() -> ClaudeReply:
            message = self._sdk.messages.create(
                model=model,
                max_tokens=max_tokens,
                messages=list(messages),
                system=system if system is not None else anthropic.omit,
            )
            return ClaudeReply(
                text="".join(block.text for block in message.content if block.type == "text"),
                stop_reason=message.stop_reason,
                model=str(message.model),
                input_tokens=message.usage.input_tokens,
                output_tokens=message.usage.output_tokens,
            )

        return self._call("create_message", attempt)

    def _call(
        self, operation: str, attempt: Callable[[], T], policy: RetryPolicy | None = None
    ) -> T:
        def told() -> T:
            try:
                return attempt()
            except anthropic.APIError as error:
                raise self._meaning(error) from None
            # The SDK does not check the body's shape: whatever trips it is a bad answer.
            except (AttributeError, TypeError, ValueError):
                raise bad_answer(CLAUDE) from None

        # Writing a text changes nothing outside, so it counts as a read; a repeat costs tokens.
        return self._channel.call(operation, Kind.READ, told, policy=policy)

    def _meaning(self, error: anthropic.APIError) -> ProviderError:
        if isinstance(error, anthropic.APIStatusError):
            return refusal(
                CLAUDE, error.status_code, error.response.headers, code=error_code(error.body)
            )
        cause = error.__cause__
        if isinstance(cause, Exception) and type(cause).__name__ in _NOT_CONNECTED:
            return unreachable(CLAUDE, self._base_url, cause)
        if isinstance(error, anthropic.APIResponseValidationError):
            return bad_answer(CLAUDE)
        reason = "timeout" if isinstance(error, anthropic.APITimeoutError) else "connection_lost"
        return failure(Unknown, CLAUDE, reason, error)
