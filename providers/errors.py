"""What can go wrong at a provider, told apart by the one thing a caller must know.

A caller that sends messages needs to decide "may I try again?". That depends only on whether the
effect may have happened, so the classes are named for it (and not ``…Error``):

* :class:`NotSent`: it certainly did not happen. Trying again later is safe.
* :class:`Rejected`: it certainly did not happen, and the same request will be refused again.
* :class:`Unknown`: it may have happened. Look it up at the provider before trying again.

The texts carry the provider, the operation, the status and the provider's own code. They never
carry a recipient, a body or a token, and neither do the provider's free-text messages get in:
several providers quote the recipient there.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from leadengine.errors import LeadEngineError

Effect = Literal["none", "refused", "unknown"]


class ProviderError(LeadEngineError):
    """A call to a provider failed.

    Attributes:
        provider: ``ghl``, ``twilio``, ``sendgrid``, ``apollo`` or ``claude``.
        operation: our name of the call, for example ``send_sms``.
        status: HTTP status of the answer, None when there was no answer.
        code: the provider's own error code (Twilio's 21610), None when it gave none.
        retry_after: seconds the provider asked us to wait, None when it did not say.
        reason: machine-readable cause, for example ``connect``, ``timeout``, ``breaker_open``.
        reference: what the provider names the thing when it says so although it failed (GHL's 422
            of an upsert may carry the contact's id).
    """

    effect: ClassVar[Effect] = "unknown"
    default_remedy: ClassVar[str] = "Look at the provider's status page and try again."

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        operation: str,
        status: int | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        reason: str | None = None,
        reference: str | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy or self.default_remedy)
        self.provider = provider
        self.operation = operation
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.reason = reason
        self.reference = reference


class NotSent(ProviderError):  # noqa: N818
    """The request never left, or was turned away before any work: safe to try again."""

    effect = "none"
    default_remedy = "Nothing happened at the provider: try again later."


class Rejected(ProviderError):  # noqa: N818
    """The provider read the request and refused it: nothing happened, and a repeat is futile."""

    effect = "refused"
    default_remedy = "Correct the request or the account's settings: a repeat is refused again."


class Unknown(ProviderError):  # noqa: N818
    """No usable answer came back: the effect may have happened. Look it up before a repeat."""

    effect = "unknown"
    default_remedy = "Look the effect up at the provider before trying again."


def is_outage(error: BaseException) -> bool:
    """Whether the provider seems to be down, rather than to disagree: what a breaker counts."""
    if isinstance(error, Unknown):
        return error.reason != "unclear"
    return isinstance(error, NotSent) and error.reason == "connect"
