"""By which channel a step of a sequence reaches a lead, and when: one call for plan and replay."""

from __future__ import annotations

from datetime import datetime

from activation.decide import DecisionContext, decide
from activation.rulebook import RuleBook
from activation.sequence import Sequence
from activation.types import Candidate, Channel, Decision, Reason, Verdict


def route(
    sequence: Sequence,
    step: int,
    candidate: Candidate,
    now: datetime,
    rules: RuleBook,
    *,
    channels: frozenset[Channel] = frozenset(Channel),
    senders: frozenset[tuple[str, Channel]] | None = None,
) -> Decision:
    """The decision about a step: the first of its channels that is open, now or at the next
    allowed time; or why none is.

    Args:
        sequence: of the step.
        step: from 1.
        candidate: the lead, as of ``now``.
        now: aware.
        rules: the rule book.
        channels: those that the batch was allowed.
        senders: locations and channels that can send; None for all.
    """
    allowed = [channel for channel in sequence.step(step).templates if channel in channels]
    if not allowed:
        return Decision(
            Verdict.SUPPRESS,
            Reason.NO_SENDER,
            f"Step {step} sends nothing by a channel that the batch was approved for.",
        )
    # The holdout was drawn when the batch was planned; whom it holds out never gets here.
    context = DecisionContext(now, allowed, rules, sequence.id, holdout_share=0.0, senders=senders)
    return decide(candidate, context)
