"""Reads what has happened to leads that can move or end a sequence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from activation.journey import EventKind, JourneyEvent
from activation.queries import load_sql


def read_events(
    connection: psycopg.Connection,
    lead_ids: Iterable[str],
    *,
    since: datetime,
    batch_ids: Iterable[UUID] = (),
) -> dict[str, list[tuple[UUID | None, JourneyEvent]]]:
    """The events of leads, each with the batch whose message it speaks of, if it does.

    Args:
        connection: to a database with marts.
        lead_ids: whose; what was noted under any of a person's records counts.
        since: the earliest that matters, UTC.
        batch_ids: the outcomes of these batches' messages are told too.
    """
    parameters = {"lead_ids": list(lead_ids), "since": since, "batch_ids": list(batch_ids)}
    found: dict[str, list[tuple[UUID | None, JourneyEvent]]] = defaultdict(list)
    with connection.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(load_sql("journey_events"), parameters):
            event = JourneyEvent(
                EventKind(row["kind"]),
                row["at"],
                row["evidence"],
                known_at=row["known_at"],
                value=row["value"],
                step=row["step"],
            )
            found[row["lead_id"]].append((row["batch_id"], event))
    return found
