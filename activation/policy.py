"""How patient the sender is: attempts, waits, and how long an absence must last to be believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from activation.carriers import carrier_class
from leadengine.settings import Settings
from providers.core import Bucket


@dataclass(frozen=True, slots=True)
class DispatchPolicy:
    """The limits of a dispatch.

    Args:
        max_attempts: claims of one message before it is given up as ``failed``.
        retry_base: wait before the second attempt; doubles with each further one.
        twilio_grace: how long after the attempt a text that Twilio's list does not show is
            believed never to have been accepted. Must exceed the client's own timeouts, since
            a request may still be on its way, and the list's lag.
        sendgrid_grace: the same for an email and SendGrid's activity feed, whose lag is longer.
        wait: how long, in real time, ``dispatch_batch`` stays for retries and lost answers
            before it leaves them to the worker.
        workers: parallel senders in this process.
        window: messages that are claimed and not recorded yet, in this process.
        clearance: how long after its check a message may leave; later it is checked again.
        round: how long messages are sent before the CRM is asked anew and lost answers looked up.
        database_patience: how long, in real time, a database that went away is waited for.
        preflight_margin: how much earlier than the last load the CRM is asked for changes.
        preflight_lasts: how long the CRM's answer is good for, for the same contacts.
    """

    max_attempts: int = 12
    retry_base: timedelta = timedelta(seconds=2)
    twilio_grace: timedelta = timedelta(minutes=10)
    sendgrid_grace: timedelta = timedelta(minutes=30)
    wait: timedelta = timedelta(seconds=20)
    workers: int = 8
    window: int = 48
    clearance: timedelta = timedelta(seconds=0.5)
    round: timedelta = timedelta(seconds=30)
    database_patience: timedelta = timedelta(seconds=60)
    preflight_margin: timedelta = timedelta(minutes=5)
    preflight_lasts: timedelta = timedelta(seconds=30)

    def grace(self, provider: str) -> timedelta:
        """How long an absence at a provider must last."""
        return self.twilio_grace if provider == "twilio" else self.sendgrid_grace

    def backoff(self, attempts: int) -> timedelta:
        """The wait after that many attempts, an hour at most."""
        return min(self.retry_base * int(2 ** max(attempts - 1, 0)), timedelta(hours=1))


def policy_for(settings: Settings) -> DispatchPolicy:
    """The policy for real providers, or the one for the sandbox, whose lists have no lag."""
    if settings.uses_sandbox:
        grace = timedelta(seconds=45)
        return DispatchPolicy(twilio_grace=grace, sendgrid_grace=grace)
    return DispatchPolicy()


def segment_limits(settings: Settings) -> Callable[[str], Bucket | None]:
    """The bucket of a sender's number, which carriers fill by segments; None: no limit of its own.

    What a campaign may send a second goes by its 10DLC class, see :mod:`activation.carriers`.
    """
    limit = carrier_class(settings.twilio_10dlc_class).per_second
    return lambda number: None if limit is None else Bucket(f"twilio:number:{number}", limit)
