"""What scoring one lead takes, step by step, whoever brings the steps to the database.

Two statements: one looks at what the lead's features are made from and, unless the vector at hand
is of just that, computes them in the same snapshot; the other stores the score. They are handed
out one after the other, so that a thread that waits for the database and an event loop that does
not (``ml/online.py``, ``ml/online_async.py``) do the very same.
"""

import re
from collections.abc import Generator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import orjson

from leadengine.errors import LeadEngineError
from ml.cache import Answer, FeatureCache, Vector
from ml.champion import Champion
from ml.journal import ScoreJournal
from ml.reasons import explain
from ml.statements import statement
from ml.vectors import pack

Row = dict[str, Any]
_ONE_LEAD_SQL = (
    Path(__file__).resolve().parent.parent / "dbt_project" / "rendered" / "one_lead_features.sql"
)
# What the look gives; the rest of a row are features.
_LOOK = {"lead_id", "location_id", "status", "as_of", "inputs"}


class Query(NamedTuple):
    """A statement with the server's own numbers for its parameters, and their values in order."""

    text: bytes
    values: list[Any]


Steps = Generator[Query, Row | None, Row]


class UnknownLeadError(LeadEngineError):
    """There is no such lead in the warehouse."""


def steps(
    champion: Champion,
    vectors: FeatureCache,
    journal: ScoreJournal,
    lead_id: str,
    *,
    now: datetime,
    as_of: datetime | None,
) -> Steps:
    """The statements that score a lead, each to be run before the next is asked for.

    Args:
        champion: what scores.
        vectors: those at hand; the one computed is kept there.
        journal: told of the score once it is committed.
        lead_id: as in ``marts.dim_leads``.
        now: the present, aware.
        as_of: another moment, aware; nothing later is seen.

    Yields:
        A statement, for which its first row is sent back; None if it has none.

    Returns:
        The answer; see :meth:`ml.online.OnlineScorer.score`.

    Raises:
        UnknownLeadError: no such lead.
    """
    parameters = {"lead_id": lead_id, "now": as_of or now, "as_of": as_of}
    # Where there is nothing to reuse the look would be a round trip for nothing.
    vector, lead = None, None
    if lead_id in vectors:
        lead = _known(lead_id, (yield _query(statement("lead_inputs.sql"), parameters)))
        vector = vectors.find(lead_id, lead["as_of"], lead["inputs"])
    if vector is None or lead is None:
        lead = _known(lead_id, (yield _query(_inputs_and_features(), parameters)))
        features = {name: value for name, value in lead.items() if name not in _LOOK}
        vector = Vector(lead["as_of"], lead["inputs"], features)
        vectors.keep(lead_id, vector)
    moment = vector.as_of
    answer = vector.answer
    if answer is None or answer.version != champion.version:
        answer = vector.answer = _answer(champion, vector)
    row = {
        "score_id": uuid4(),
        "lead_id": lead_id,
        "location_id": lead["location_id"],
        "as_of": moment,
        "score": answer.score,
        "tier": answer.tier,
        "reasons": orjson.dumps(answer.explanation.reasons).decode(),
        "base_log_odds": answer.explanation.base,
        "other_log_odds": answer.explanation.other,
        "model_name": champion.name,
        "model_version": champion.version,
        "features_digest": answer.digest,
        "vector": answer.packed,
        "scored_at": now,
    }
    yield _query(statement("store_online_score.sql"), row)
    journal.add(row)
    return {
        "score_id": str(row["score_id"]),
        "lead_id": lead_id,
        "location_id": lead["location_id"],
        "status": lead["status"],
        "as_of": moment.isoformat(),
        "score": answer.score,
        "tier": answer.tier,
        "reasons": answer.explanation.reasons,
        "base_log_odds": answer.explanation.base,
        "other_log_odds": answer.explanation.other,
        "features": vector.features,
        "features_digest": answer.digest,
        "model_name": champion.name,
        "model_version": champion.version,
    }


def _known(lead_id: str, row: Row | None) -> Row:
    if row is None:
        raise UnknownLeadError(
            f"There is no lead {lead_id!r}.",
            remedy="Give a lead_id of marts.dim_leads: location and contact, joined by a colon.",
        )
    return row


def _query(text: bytes, parameters: Row) -> Query:
    numbered, names = _numbered(text)
    return Query(numbered, [parameters[name] for name in names])


@cache
def _numbered(query: bytes) -> tuple[bytes, tuple[str, ...]]:
    """A statement with the server's own numbers for its parameters, and their names in order.

    Named ones psycopg looks for in the text at each call, unless it is short; in the features'
    26 KB that takes longer than reading the answer.
    """
    names: dict[str, int] = {}

    def number(match: re.Match[bytes]) -> bytes:
        if match.group() == b"%%":
            return b"%"
        return b"$%d" % names.setdefault(match.group(1).decode(), len(names) + 1)

    return re.sub(rb"%%|%\((\w+)\)[sb]", number, query), tuple(names)


@cache
def _inputs_and_features() -> bytes:
    """The look and the features at the moment that it finds, as one statement."""
    look = statement("lead_inputs.sql").decode()
    features = _one_lead_sql().decode().replace("%(as_of)s", "(select inputs.as_of from inputs)")
    return (
        f"with inputs as ({look}) select features.*, inputs.* from inputs"  # noqa: S608
        f" cross join ({features}) as features"
    ).encode()


def _answer(champion: Champion, vector: Vector) -> Answer:
    model = champion.model
    model.schema.check_columns(vector.features, "The online feature query")
    matrix = model.schema.encode_row(vector.features)
    score = float(model.predict(matrix)[0])
    return Answer(
        version=champion.version,
        matrix=matrix,
        score=score,
        tier=model.tier(score),
        digest=model.digest(matrix[0]),
        explanation=explain(model, matrix, [vector.features])[0],
        packed=pack(matrix),
    )


@cache
def _one_lead_sql() -> bytes:
    try:
        return _ONE_LEAD_SQL.read_bytes()
    except OSError as error:
        raise LeadEngineError(
            f"{_ONE_LEAD_SQL} cannot be read: {error.strerror}.",
            remedy="Restore it from the repository.",
        ) from error
