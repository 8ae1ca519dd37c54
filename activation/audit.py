"""The audit trail: one row for each thing that was done."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb


def audit(
    connection: psycopg.Connection,
    *,
    at: datetime,
    actor: str,
    action: str,
    entity: str,
    entity_id: str,
    detail: dict[str, Any] | None = None,
    location_id: str | None = None,
) -> None:
    """Adds a row in the caller's transaction, so that deed and record stand or fall together.

    ``detail`` holds ids, counts and reasons; no names, addresses or message texts.
    """
    connection.execute(
        "insert into ops.audit_trail (at, actor, action, entity, entity_id, location_id, detail)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        (at, actor, action, entity, entity_id, location_id, Jsonb(detail or {})),
    )
