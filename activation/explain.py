"""Why was this message sent? The whole proof, from the message back to the source rows."""

from __future__ import annotations

import hashlib
import math
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from activation.approve import BatchError
from activation.consent import consent_hash
from activation.queries import load_sql
from activation.rulebook import current_rules
from activation.sequence import SequenceError, load_sequence
from activation.templating import TemplateLibrary, TemplateProblem
from activation.types import Channel
from ml.schema import FIRST_LEVEL
from ml.vectors import unpack
from warehouse.database import Database

# Where the lead's facts come from: relation, and how its rows name the lead.
_SOURCES = {
    "marts.dim_leads": "lead_id = %(lead_id)s",
    # Which of its records are the lead, and by which keys.
    "intermediate.int_lead_identities": "lead_id = %(lead_id)s",
    "raw_ghl.contacts": "location_id = %(location_id)s and id = %(contact_id)s",
    "raw_import.leads": "location_id = %(location_id)s and external_id = %(contact_id)s",
    "raw_twilio.messages": "sid = %(provider_message_id)s",
    "raw_sendgrid.email_activity": "split_part(msg_id, '.', 1) = %(provider_message_id)s",
}
_TIMELINE = "intermediate.int_lead_timeline"
_NEWEST_EVENTS = 50
_MOST_SOURCE_IDS = 1_000


def explain_send(database: Database, send_id: UUID) -> dict[str, Any]:
    """The proof behind one message.

    Keys: ``message``, ``template``, ``sequence``, ``batch``, ``consent``, ``rules``, ``score``
    (with every feature), ``source_rows``, ``source_ids`` (of the events that the features saw, by
    system), ``audit_trail``. Holds personal data, being what a compliance officer asks
    for: not for logs. Each ``..._matches`` says whether what is stored still agrees with what is
    on file.

    Raises:
        BatchError: there is no such message.
    """
    with database.connect() as connection:
        with connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(load_sql("explain_send"), {"send_id": send_id}).fetchone()
        if row is None:
            raise BatchError(
                f"There is no message {send_id}.",
                remedy="Take a send_id from ops.sends.",
            )
        send, batch, item = row["send"], row["batch"], row["item"]
        score = row["score"]
        if score is not None:
            score["features"] = _features(connection, score)
        # The features saw what was known when the score was made.
        as_of = score["as_of"] if score is not None else batch["as_of"]
        sources, source_ids = _source_rows(connection, send, as_of)
    return {
        "message": {
            **{key: value for key, value in send.items() if key not in _ELSEWHERE},
            "body_matches": _body_digest(send) == send["body_digest"],
            "webhook_events": row["webhook_events"],
        },
        "template": _template(send),
        "sequence": _sequence(send),
        "batch": {
            **{key: value for key, value in batch.items() if key != "summary"},
            "decision": item,
            "counts": batch["summary"].get("counts"),
        },
        "consent": _consent(send, row["consent"], row["consent_history"]),
        "rules": _rules(send),
        "score": score or {"score": send["score"], "model_version": send["model_version"]},
        "source_rows": sources,
        "source_ids": source_ids,
        "audit_trail": row["audit_trail"],
    }


_ELSEWHERE = {"template_id", "template_version", "consent_log_id", "consent_hash", "rule_version"}


def _body_digest(send: dict[str, Any]) -> str:
    return hashlib.sha256(f"{send['subject'] or ''}\n{send['body']}".encode()).hexdigest()


def _template(send: dict[str, Any]) -> dict[str, Any]:
    proof = {"template_id": send["template_id"], "version": send["template_version"]}
    try:
        on_file = TemplateLibrary().get(send["template_id"])
    except TemplateProblem as error:
        return proof | {"version_matches": False, "on_file": error.message}
    return proof | {
        "version_matches": on_file.version == send["template_version"],
        "source": on_file.body,
    }


def _sequence(send: dict[str, Any]) -> dict[str, Any]:
    proof: dict[str, Any] = {"id": send["sequence"], "step": send["step"]}
    try:
        sequence = load_sequence(send["sequence"])
    except SequenceError as error:
        return proof | {"on_file": error.message}
    return proof | {
        "name": sequence.name,
        "description": sequence.description,
        "purpose": sequence.purpose,
        "idempotency_key": send["idempotency_key"],
    }


def _consent(
    send: dict[str, Any], row: dict[str, Any] | None, history: list[dict[str, Any]]
) -> dict[str, Any]:
    stored = send["consent_hash"]
    matches = None
    if row is not None and stored is not None:
        matches = consent_hash(row) == stored
    return {"row": row, "hash": stored, "hash_matches": matches, "history": history}


def _rules(send: dict[str, Any]) -> dict[str, Any]:
    rules = current_rules()
    channel = Channel(send["channel"])
    return {
        "version": send["rule_version"],
        "version_matches": rules.version == send["rule_version"],
        "in_force": [
            {"id": rule.id, "source": rule.source, "text": rule.text}
            for rule in rules.rules
            if channel in rule.channels
        ],
    }


def _features(connection: psycopg.Connection, score: dict[str, Any]) -> dict[str, Any] | None:
    """The values that made a score, by the features' names; None once they are no longer kept."""
    if score["features"] is not None or score.get("block_id") is None:
        features: dict[str, Any] | None = score["features"]
        return features
    block = connection.execute(
        "select vectors, feature_columns from ml.feature_blocks where block_id = %s",
        (score["block_id"],),
    ).fetchone()
    if block is None or block[1] is None:
        return None
    vector = unpack(block[0])[score["block_row"]]
    return {
        column["name"]: _told(float(value), column)
        for column, value in zip(block[1], vector, strict=True)
    }


def _told(value: float, column: dict[str, Any]) -> float | str | None:
    """A value of the vector as a person reads it."""
    if math.isnan(value):
        return None
    if column["kind"] != "categorical":
        return value
    level = int(value) - FIRST_LEVEL
    return str(column["levels"][level]) if level >= 0 else None


def _source_rows(
    connection: psycopg.Connection, send: dict[str, Any], as_of: str | datetime
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, list[str]]]:
    """Rows of the lead's facts, whole, and the raw ids of the events that its features saw."""
    keys = {
        key: send[key] for key in ("lead_id", "location_id", "contact_id", "provider_message_id")
    } | {"as_of": as_of, "newest": _NEWEST_EVENTS, "most": _MOST_SOURCE_IDS}
    there = connection.execute(
        "select name from unnest(%s::text[]) as name where to_regclass(name) is not null",
        ([*_SOURCES, _TIMELINE],),
    ).fetchall()
    found: dict[str, list[dict[str, Any]]] = {}
    ids: dict[str, list[str]] = {}
    for (relation,) in there:
        if relation == _TIMELINE:
            rows = connection.execute(load_sql("explain_events"), keys).fetchall()
            for system, row_id in connection.execute(load_sql("explain_source_ids"), keys):
                ids.setdefault(system, []).append(row_id)
        else:
            rows = connection.execute(
                f"select to_jsonb(rows) from {relation} as rows"  # noqa: S608
                f" where {_SOURCES[relation]}".encode(),
                keys,
            ).fetchall()
        if rows:
            found[relation] = [row[0] for row in rows]
    return found, ids
