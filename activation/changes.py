"""What has changed about one lead since its message was approved, so that the approval is void.

An approval is of a plan as it was shown. A change touches only the leads that it is about; the
rest of the batch goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from activation.templating import TemplateLibrary, TemplateProblem
from activation.types import Decision, Reason, Verdict

TemplateVersions = Callable[[str], str | None]
"""A template's version now, by its id; None where it can no longer be used."""


def template_versions(library: TemplateLibrary) -> TemplateVersions:
    """The versions of a library's templates."""

    def version(template_id: str) -> str | None:
        try:
            return library.get(template_id).version
        except TemplateProblem:
            return None

    return version


def changed_since_plan(
    send: Mapping[str, Any], facts: Mapping[str, Any], templates: TemplateVersions
) -> Decision | None:
    """Why a message that the rules allow is void all the same; None if nothing has changed.

    Args:
        send: the message: ``template_id`` and ``template_version``.
        facts: a row of ``sql/recheck.sql``: ``has_replied``, ``has_booked``, ``tier``, and what
            was planned: ``planned_tier`` and ``planned_template_version`` (None where the message
            is a later step, which nobody approved by tier or wording).
        templates: tells the templates' versions now.
    """
    if facts["has_replied"]:
        return _void(Reason.REPLIED, "The lead has answered since the plan was made.")
    if facts["has_booked"]:
        return _void(
            Reason.APPOINTMENT_BOOKED, "The lead has booked an appointment since the plan was made."
        )
    planned = facts["planned_tier"]
    if planned is not None and facts["tier"] != planned:
        return _void(
            Reason.TIER_CHANGED,
            f"The lead was {planned} when the plan was made and is "
            f"{facts['tier'] or 'not scored'} now.",
        )
    if facts["planned_template_version"] is not None:
        now = templates(send["template_id"])
        if now != send["template_version"]:
            return _void(
                Reason.TEMPLATE_CHANGED,
                f"The template {send['template_id']} is not the one that was approved any more.",
            )
    return None


def _void(reason: Reason, sentence: str) -> Decision:
    return Decision(Verdict.SUPPRESS, reason, sentence)
