"""What happens when a person has changed our fields in the CRM since we wrote them.

The rule: score, tier, reason and time of scoring are the engine's; an edit is overwritten at the
next write-back. *Lead Next Action* is shared: a person's words stand until the lead's tier changes.
Each edit is noted in ``ops.audit_trail`` as ``crm_edit_overwritten`` or ``crm_edit_kept``, with
digests of the two values. Tags other than ours are never touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from activation.audit import audit
from activation.crm_fields import FIELDS
from activation.queries import load_sql

SHARED_FIELD = "next_action"
KEPT = "kept_for_tier"
"""Beside the fields as written: the tier for which a person's next action stands."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One of our fields that no longer holds what we wrote."""

    field: str
    ours: str
    theirs: str
    stands: bool


def values_in(contact: Mapping[str, Any], field_ids: Mapping[str, str]) -> dict[str, str]:
    """What our fields hold in a contact, by our names for them."""
    by_id = {
        str(entry.get("id")): entry.get("value", entry.get("fieldValue"))
        for entry in contact.get("customFields") or []
    }
    return {
        name: _text(by_id[field_id]) for name, field_id in field_ids.items() if field_id in by_id
    }


def edits_of(ours: Mapping[str, Any], theirs: Mapping[str, str], tier: str) -> list[Edit]:
    """The fields that somebody changed, judged by the rule.

    Args:
        ours: what we wrote last.
        theirs: what the CRM holds now; a field that was emptied is missing.
        tier: that the lead has now.
    """
    found = []
    for name, value in ours.items():
        if name == KEPT:
            continue
        written, held = _text(value), theirs.get(name, "")
        if held == written or (name == "scored_at" and held[:10] == written[:10]):
            continue
        stands = name == SHARED_FIELD and held != "" and tier == ours.get("tier")
        found.append(Edit(name, written, held, stands))
    return found


def loaded_edits(connection: psycopg.Connection) -> set[tuple[str, str]]:
    """Contacts (location, id) in which the last load found our own fields changed by hand.

    So an edit is put right although the score is as it was. Contacts loaded before our last write
    say nothing.
    """
    known = connection.execute(
        "select to_regclass('raw_ghl.contacts') is not null"
        " and to_regclass('raw_ghl.custom_fields') is not null"
    ).fetchone()
    if known is None or not known[0]:
        return set()
    keys = [
        {"name": name, "field_key": FIELDS[name].key}
        for name in ("score", "tier", "reason", "next_action")
    ]
    rows = connection.execute(load_sql("edited_in_crm"), {"fields": Jsonb(keys)}).fetchall()
    return {(row[0], row[1]) for row in rows}


def log_edits(
    connection: psycopg.Connection,
    location_id: str,
    contact_id: str,
    edits: list[Edit],
    now: datetime,
) -> None:
    """Notes edits in the audit trail, in the caller's transaction."""
    for edit in edits:
        audit(
            connection,
            at=now,
            actor="writeback",
            action="crm_edit_kept" if edit.stands else "crm_edit_overwritten",
            entity="crm_contact",
            entity_id=contact_id,
            location_id=location_id,
            detail={
                "field": edit.field,
                "ours_digest": _digest(edit.ours),
                "theirs_digest": _digest(edit.theirs),
                "theirs_was_empty": edit.theirs == "",
            },
        )


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value).strip()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
