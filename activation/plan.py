"""Plans a batch: who gets what and when, who does not, and why. Sends nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from activation.audience import load_audience
from activation.candidates import read_candidates
from activation.content import ContentCheck, Refusal
from activation.decide import DecisionContext, decide
from activation.guards import check_guards, load_guards
from activation.plan_store import DraftPlan
from activation.rulebook import RuleBook, current_rules
from activation.senders import Sender, able, location_names, senders
from activation.sequence import Sequence, load_sequence
from activation.spending import Beyond, SpendingLimits
from activation.templating import Message, TemplateLibrary, lead_variables
from activation.types import (
    BatchPlan,
    Candidate,
    Channel,
    Decision,
    PlannedItem,
    PlanRequest,
    Reason,
    Verdict,
)
from activation.unsubscribe import secret_key, unsubscribe_url
from leadengine.clock import Clock
from leadengine.errors import LeadEngineError
from leadengine.memory import collector_paused
from leadengine.settings import Settings
from warehouse.database import Database

_FIRST_STEP = 1


_IN_OTHER_SEQUENCE = Decision(
    Verdict.SUPPRESS,
    Reason.IN_OTHER_SEQUENCE,
    "A message of another sequence is on its way to this lead.",
)


class PlanError(LeadEngineError):
    """A batch cannot be planned as asked for."""


class PlanRefusedError(PlanError):
    """A guard has refused a plan, which can be looked at all the same."""

    def __init__(self, plan: BatchPlan) -> None:
        super().__init__(
            f"The plan {plan.batch_id} is refused: {' '.join(plan.refusals)}",
            remedy="Look at it with `leadengine batch show`; ask for a smaller one, or plan again "
            "with --override and the reason why this one is right.",
        )
        self.plan = plan


def plan_batch(
    database: Database,
    settings: Settings,
    request: PlanRequest,
    clock: Clock,
    *,
    library: TemplateLibrary | None = None,
    rules: RuleBook | None = None,
) -> BatchPlan:
    """Decides about the audience's leads, best first, until the batch is full, and stores it.

    Every lead looked at gets exactly one decision. Planning again without sending in between
    makes another batch with the same decisions and, in the same allowed hours, the same digest.

    Raises:
        PlanRefusedError: the plan is stored, and too large, too costly or too unlike the last one.
        PlanError: the size, the channels or the holdout share make no sense.
        AudienceError, SequenceError, TemplateProblem: a file is unknown or wrong.
        MartsMissingError: the leads have not been scored yet.
    """
    channels = _checked_channels(request)
    audience = load_audience(request.audience)
    sequence = load_sequence(request.sequence)
    if audience.of != sequence.written_for:
        raise PlanError(
            f"The sequence {sequence.id!r} is written for {sequence.written_for}, and the audience"
            f" {audience.name!r} is of {audience.of}.",
            remedy="Choose an audience of those whom the sequence is written for.",
        )
    rules = rules or current_rules()
    found = senders(settings, database)
    names = location_names(database)
    now = clock.now()
    step = sequence.steps[_FIRST_STEP - 1]
    preferred = [channel for channel in step.templates if channel in channels]
    if not preferred:
        raise PlanError(
            f"The sequence {sequence.id!r} sends nothing by {', '.join(request.channels)}.",
            remedy=f"Allow one of its channels: {', '.join(step.templates)}.",
        )
    content = ContentCheck(rules, now)
    writer = _Writer(settings, sequence, library or TemplateLibrary(), found, names, content)
    journey = _journey(sequence, writer.library)
    context = DecisionContext(
        now, preferred, rules, sequence.id, request.holdout_share, able(found)
    )
    limits = SpendingLimits.of(database, settings, request, now)
    plan = DraftPlan(
        uuid4(),
        request,
        sequence.id,
        [c.value for c in channels],
        rules.version,
        now,
        journey,
        written_for=sequence.written_for,
    )
    # One connection streams the candidates while another stores the decisions: neither side holds
    # the whole plan in memory.
    with database.connect() as reading, database.connect() as connection:
        plan.begin(connection)
        candidates = read_candidates(
            reading, audience, sequence=sequence.id, step=_FIRST_STEP, as_of=now, rules=rules
        )
        with plan.items_into(connection) as store, collector_paused():
            for item in _decided(candidates, context, writer, limits, request.size, plan):
                store(item)
        made = plan.finish(
            connection, check_guards(connection, plan, load_guards()), database, limits.spent_cents
        )
    if made.status == "refused":
        raise PlanRefusedError(made)
    return made


def _decided(
    candidates: Iterator[tuple[Candidate, int]],
    context: DecisionContext,
    writer: _Writer,
    limits: SpendingLimits,
    size: int,
    plan: DraftPlan,
) -> Iterator[PlannedItem]:
    """One item for each candidate, until ``size`` are chosen."""
    chosen = 0
    reached: set[tuple[str, Channel, str]] = set()
    for candidate, total in candidates:
        plan.audience_size = total
        decision = _once_per_address(candidate, decide(candidate, context), reached)
        if decision.verdict is not Verdict.SUPPRESS and candidate.in_other_sequence:
            decision = _IN_OTHER_SEQUENCE
        item = writer.item(candidate, decision, limits)
        yield item
        if item.decision != Verdict.SUPPRESS.value:
            chosen += 1
            if chosen == size:
                return


def _journey(sequence: Sequence, library: TemplateLibrary) -> dict[str, Any]:
    """The whole sequence as it is approved: its declaration, and the version of each template.

    Raises:
        TemplateProblem: a template of any step is unknown or wrong.
    """
    return {
        "sequence": sequence.as_text(),
        "templates": {name: library.get(name).version for name in sequence.template_ids},
    }


class _Writer:
    """Writes the messages of a plan."""

    def __init__(
        self,
        settings: Settings,
        sequence: Sequence,
        library: TemplateLibrary,
        found: dict[str, Sender],
        names: dict[str, str],
        content: ContentCheck,
    ) -> None:
        self.library = library
        self._content = content
        self._settings = settings
        self._templates = sequence.steps[_FIRST_STEP - 1].templates
        self._names = names | {sender.location_id: sender.name for sender in found.values()}
        self._key = secret_key(settings)

    def item(self, candidate: Candidate, decision: Decision, limits: SpendingLimits) -> PlannedItem:
        """The row of a plan for a candidate, with the message where one is to be sent."""
        if decision.verdict is not Verdict.SEND or decision.channel is None:
            return _item(candidate, decision)
        message, refused = self._message(candidate, decision.channel)
        if refused is not None:
            return _item(
                candidate,
                Decision(
                    Verdict.SUPPRESS, refused.reason, refused.sentence, channel=decision.channel
                ),
                template_id=message.template_id,
                template_version=message.template_version,
            )
        charge = limits.charge(decision.channel, message.body)
        if isinstance(charge, Beyond):
            return _item(candidate, Decision(Verdict.SUPPRESS, charge.reason, charge.sentence))
        return _item(
            candidate,
            decision,
            template_id=message.template_id,
            template_version=message.template_version,
            subject=message.subject,
            body=message.body,
            segments=charge.segments,
            cost_cents=charge.cents,
        )

    def _message(self, candidate: Candidate, channel: Channel) -> tuple[Message, Refusal | None]:
        """The message, and what forbids sending it for what it says."""
        brokerage = self._names.get(candidate.location_id) or self._settings.sender_name
        variables = lead_variables(candidate.facts, brokerage)
        if channel is Channel.EMAIL:
            variables |= {
                "unsubscribe_url": unsubscribe_url(
                    self._settings, self._key, candidate.location_id, candidate.lead_id
                ),
                "booking_url": self._settings.booking_url or "",
                "sender_name": self._settings.sender_name,
                "postal_address": self._settings.sender_postal_address,
            }
        message = self.library.render(self._templates[channel], variables)
        refused = self._content.planned(
            f"{message.template_id}@{message.template_version}",
            (str(value) for value in variables.values()),
            channel,
            message.subject,
            message.body,
            sender=brokerage,
            postal_address=self._settings.sender_postal_address,
        )
        return message, refused


def _item(candidate: Candidate, decision: Decision, **message: Any) -> PlannedItem:
    """A row of a plan, made once and whole: there are very many."""
    return PlannedItem(
        lead_id=candidate.lead_id,
        location_id=candidate.location_id,
        contact_id=candidate.contact_id,
        decision=decision.verdict.value,
        reason_code=decision.reason.value,
        reason=decision.sentence,
        score=candidate.score,
        tier=candidate.tier,
        rank=candidate.rank,
        channel=decision.channel.value if decision.channel else None,
        send_at=decision.send_at,
        to_address=decision.address,
        **message,
    )


def _once_per_address(
    candidate: Candidate, decision: Decision, reached: set[tuple[str, Channel, str]]
) -> Decision:
    """Two leads that share an address are one person to whoever picks up the phone.

    The better lead stands for both, be it written to or held out: a message to the other would
    reach the one held out as well.
    """
    if decision.verdict is Verdict.SUPPRESS or decision.channel is None:
        return decision
    address = candidate.channels[decision.channel].address or ""
    key = (candidate.location_id, decision.channel, address)
    if key in reached:
        return Decision(
            Verdict.SUPPRESS,
            Reason.DUPLICATE_PERSON,
            "Another lead of this batch has the same address and stands for both.",
        )
    reached.add(key)
    return decision


def _checked_channels(request: PlanRequest) -> list[Channel]:
    known = {channel.value for channel in Channel}
    unknown = [name for name in request.channels if name not in known]
    if unknown or not request.channels:
        raise PlanError(
            f"The channels {', '.join(request.channels) or '(none)'} cannot be used.",
            remedy=f"Choose from: {', '.join(sorted(known))}.",
        )
    if request.size < 1:
        raise PlanError(
            f"A batch of size {request.size} has nobody in it.", remedy="Ask for 1 or more."
        )
    if not 0 <= request.holdout_share < 1:
        raise PlanError(
            f"A holdout share of {request.holdout_share} is not between 0 and 1.",
            remedy="Use 0.1 for one lead in ten.",
        )
    return [Channel(name) for name in dict.fromkeys(request.channels)]
