"""Reads an audience's leads with all that a decision needs, in one query."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from activation.audience import Audience
from activation.marts import reading_marts
from activation.queries import load_sql
from activation.rulebook import RuleBook
from activation.types import Candidate, Channel, ChannelState, ConsentRow

_FACTS = (
    "first_name", "assigned_agent_name", "city", "lead_intent", "beds", "property_type",
)  # fmt: skip


def read_candidates(
    connection: psycopg.Connection,
    audience: Audience,
    *,
    sequence: str,
    step: int,
    as_of: datetime,
    rules: RuleBook,
    lead_ids: list[str] | None = None,
) -> Iterator[tuple[Candidate, int]]:
    """Yields each candidate, best score first, with the size of the whole audience.

    With ``lead_ids``, only those of the audience.

    Rows are streamed, so that a caller who stops early has not read them all.

    Raises:
        MartsMissingError: ``marts.lead_priorities`` or ``marts.dim_leads`` does not exist.
    """
    parameters = {
        **audience.where.parameters(),
        "written_for": audience.of,
        "as_of": as_of,
        "sequence": sequence,
        "step": step,
        "lead_ids": lead_ids,
        "cap_window": rules.cap_window(),
    }
    with (
        reading_marts(),
        connection.cursor(name="candidates", row_factory=dict_row) as cursor,
    ):
        cursor.itersize = 1000
        cursor.execute(load_sql("candidates"), parameters)
        for row in cursor:
            yield _candidate(row), int(row["audience_size"])


def _candidate(row: dict[str, Any]) -> Candidate:
    return Candidate(
        lead_id=row["lead_id"],
        location_id=row["location_id"],
        contact_id=row["contact_id"],
        score=None if row["score"] is None else float(row["score"]),
        tier=row["tier"],
        rank=row["rank"],
        channels={
            Channel.SMS: _state(
                row,
                "sms",
                row["phone"],
                row["is_phone_valid"] and row["is_line_valid"] is not False,
                line_type=row["line_type"],
            ),
            Channel.EMAIL: _state(row, "email", row["email"], row["is_email_valid"]),
        },
        timezone=row["timezone"],
        state=row["state"],
        already_sent=row["already_sent"],
        in_other_sequence=row["in_other_sequence"],
        recent_sends=tuple(row["recent_sends"]),
        facts={name: row[name] for name in _FACTS},
    )


def _state(
    row: dict[str, Any],
    channel: str,
    address: str | None,
    is_valid: bool | None,
    line_type: str | None = None,
) -> ChannelState:
    consent = None
    if row[f"{channel}_consent_log_id"] is not None:
        consent = ConsentRow(
            consent_log_id=row[f"{channel}_consent_log_id"],
            action=row[f"{channel}_action"],
            occurred_at=row[f"{channel}_occurred_at"],
            source=row[f"{channel}_source"],
        )
    return ChannelState(
        address=address,
        is_valid=bool(is_valid),
        is_dnd=bool(row["is_dnd_all"] or row[f"is_dnd_{channel}"] or row[f"{channel}_address_dnd"]),
        is_suppressed=row[f"{channel}_suppressed"],
        consent=consent,
        address_opted_out=row[f"{channel}_address_opted_out"],
        do_not_call=tuple(row[f"{channel}_do_not_call"]),
        line_type=line_type,
    )
