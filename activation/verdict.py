"""What a measurement means, in words for the people who sent the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from activation.sequential import LEAST_FALSE_ALARM, WINDOW_DAYS

if TYPE_CHECKING:
    from activation.measure import Arm, Contamination, Effect, Money, SampleRatio


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known; the effects are None while ``missing`` names what they wait for."""

    days: float
    missing: list[str]
    send: Arm
    holdout: Arm
    ratio: SampleRatio
    conversions: Effect | None
    appointments: Effect | None
    money: Money | None
    contamination: Contamination


def say(finding: Finding) -> tuple[str, list[str]]:
    """The verdict in one paragraph, and the lines that stand below it."""
    lines = [_money_counted(finding)]
    effect = finding.conversions
    if effect is None:
        verdict = _too_early(finding)
    else:
        verdict = f"{_word(effect, finding.days)} {_counts(finding)}"
        lines += _effect_lines(finding, effect)
    lines += _contamination_lines(finding.contamination)
    if finding.ratio.is_off:
        verdict = f"{_ratio_alarm(finding.ratio)} {verdict}"
    return verdict, lines


def _too_early(finding: Finding) -> str:
    waits = finding.missing or ["10 conversions by the last whole day needed"]
    return f"Not enough data yet: {', '.join(waits)}. So far: {_counts(finding)}"


def _word(effect: Effect, days: float) -> str:
    points = f"{effect.difference * 100:+.1f} points of conversion against the holdout"
    if effect.interval is None:
        return f"No difference can be told, since all or nobody converted: {points}."
    low, high = effect.interval
    within = f"(95 % between {low * 100:+.1f} and {high * 100:+.1f}, however often one looks)"
    if low > 0:
        return f"The batch worked: {points} {within}."
    if high < 0:
        return f"The batch did harm: {points} {within}."
    if effect.told_on_day is not None:
        return (
            f"The batch made a difference by day {effect.told_on_day}, which by now can no longer"
            f" be told from chance: {points} {within}."
        )
    if days < WINDOW_DAYS:
        return (
            f"Not enough data yet to tell a difference from chance, on day {days:.0f} of"
            f" {WINDOW_DAYS}{_still_needed(effect)}: {points} {within}."
        )
    if effect.false_alarm < LEAST_FALSE_ALARM:
        return (
            f"Not enough data to tell a difference from chance{_still_needed(effect)}: {points}"
            f" {within}. Plan a larger batch, or hold out more of it."
        )
    return f"No difference can be told from chance: {points} {within}."


def _still_needed(effect: Effect) -> str:
    if effect.converted >= effect.fewest_to_tell:
        return ""
    return f", with {effect.converted} conversions where it takes {effect.fewest_to_tell} at least"


def _counts(finding: Finding) -> str:
    send, holdout = finding.send, finding.holdout
    return (
        f"{send.sent} of {send.leads} sent, {send.delivered} delivered, {send.replied} replied,"
        f" {send.opted_out} opted out, {send.converted} converted;"
        f" {holdout.converted} of {holdout.leads} held out converted."
    )


def _effect_lines(finding: Finding, effect: Effect) -> list[str]:
    lines = [f"Leads converted because of it: {_extra(effect)}."]
    if finding.appointments is not None:
        lines.append(f"Appointments kept because of it: {_extra(finding.appointments)}.")
    money = finding.money
    if money is not None:
        text = f"Value of deals won because of it: {_dollars(money.extra_cents)}"
        if money.interval is None:
            lines.append(f"{text}; too few deals ({money.deals}) to say how certain that is.")
        else:
            ends = [_dollars(end * finding.send.leads) for end in money.interval]
            lines.append(f"{text} (95 % between {ends[0]} and {ends[1]}).")
    return lines


def _extra(effect: Effect) -> str:
    text = f"{effect.extra:+.1f}"
    if effect.extra_interval is not None:
        low, high = effect.extra_interval
        text += f" (95 % between {low:+.1f} and {high:+.1f})"
    return text


def _money_counted(finding: Finding) -> str:
    send, holdout = finding.send, finding.holdout
    return (
        f"Sent to: {send.appointments} appointments kept, {send.won} deals won worth"
        f" {_dollars(send.won_value_cents)}. Held out: {holdout.appointments} kept,"
        f" {holdout.won} won worth {_dollars(holdout.won_value_cents)}."
    )


def _contamination_lines(found: Contamination) -> list[str]:
    if not found.holdout and not found.send:
        return []
    held = _touched(found.holdout)
    lines = [
        f"Held-out leads reached from elsewhere before they spoke: {held}; of those sent to:"
        f" {_touched(found.send)}. The figures above count them all the same."
    ]
    if found.without is not None:
        effect = found.without
        text = f"Without such leads, in both arms: {effect.difference * 100:+.1f} points"
        if effect.interval is not None:
            low, high = effect.interval
            text += f" (95 % between {low * 100:+.1f} and {high * 100:+.1f})"
        lines.append(
            f"{text}, {effect.send_leads} against {effect.holdout_leads} leads. Who is reached is"
            " no accident, so this is a hint and no proof."
        )
    return lines


def _touched(kinds: dict[str, int]) -> str:
    if not kinds:
        return "none"
    words = {"batch": "by another batch", "person": "by a person"}
    return ", ".join(f"{count} {words[kind]}" for kind, count in sorted(kinds.items()))


def _ratio_alarm(ratio: SampleRatio) -> str:
    return (
        f"Do not trust this comparison: {ratio.share:.1%} of the leads were held out where"
        f" {ratio.expected_share:.1%} were to be, which chance does not explain"
        f" (p = {ratio.p_value:.1g}). Look for rows deleted from ops.batch_items, or for leads"
        " that were left out after the arms were drawn; then plan a new batch."
    )


def _dollars(cents: float) -> str:
    sign = "-" if cents < 0 else ""
    return f"{sign}${abs(cents) / 100:,.0f}"
