"""What scoring one lead takes: the statements, and what is made of what they give.

Two statements. One looks at what the lead's features are made from and, unless the vector at hand
is of just that, computes them in the same snapshot; the other stores the score. Who runs them is
``ml/online.py``'s concern.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from leadengine.errors import LeadEngineError
from ml.cache import Answer, Vector
from ml.champion import Champion
from ml.reasons import explain
from ml.statements import statement
from ml.vectors import pack

Row = dict[str, Any]
_ONE_LEAD_SQL = (
    Path(__file__).resolve().parent.parent / "dbt_project" / "rendered" / "one_lead_features.sql"
)
# What the look gives; the rest of a row are features.
_LOOK = ("lead_id", "location_id", "status", "as_of", "inputs")


class UnknownLeadError(LeadEngineError):
    """There is no such lead in the warehouse."""


@dataclass(frozen=True)
class Query:
    """A statement with the server's own numbers for its parameters.

    Attributes:
        text: the statement.
        names: the parameters in the order of their numbers.
    """

    text: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Query":
        """From a statement with named parameters, as psycopg has them."""
        numbers: dict[str, int] = {}

        def number(match: re.Match[str]) -> str:
            if match.group() == "%%":
                return "%"
            return f"${numbers.setdefault(match.group(1), len(numbers) + 1)}"

        return cls(re.sub(r"%%|%\((\w+)\)[sb]", number, text), tuple(numbers))

    def bound(self, parameters: Mapping[str, Any]) -> list[Any]:
        """The text and then the parameters' values, as asyncpg takes them."""
        return [self.text, *(parameters[name] for name in self.names)]


@cache
def look_query() -> Query:
    """What a lead's features are made from: ``lead_id``, ``now`` and ``as_of`` (or None)."""
    return Query.of(statement("lead_inputs.sql").decode())


@cache
def features_query() -> Query:
    """The look and the features at the moment that it finds, of the same parameters."""
    look = statement("lead_inputs.sql").decode()
    features = one_lead_sql().replace("%(as_of)s", "(select inputs.as_of from inputs)")
    return Query.of(
        f"with inputs as ({look}) select features.*, inputs.* from inputs"  # noqa: S608
        f" cross join ({features}) as features"
    )


@cache
def store_query() -> Query:
    """Stores a row of :func:`stored_row`."""
    return Query.of(statement("store_online_score.sql").decode())


def vector_of(found: Row) -> Vector:
    """The vector in a row of :func:`features_query`, which is taken over."""
    as_of, inputs = found["as_of"], found["inputs"]
    for name in _LOOK:
        del found[name]
    return Vector(as_of, inputs, found)


def answer_of(champion: Champion, vector: Vector) -> Answer:
    """What the champion says of a vector; remembered with it."""
    if vector.answer is None or vector.answer.version != champion.version:
        model = champion.model
        matrix = model.schema.encode_row(vector.features, "The online feature query")
        score = float(model.predict(matrix)[0])
        vector.answer = Answer(
            version=champion.version,
            score=score,
            tier=model.tier(score),
            digest=model.digest(matrix[0]),
            explanation=explain(model, matrix, [vector.features])[0],
            packed=pack(matrix),
        )
    return vector.answer


def stored_row(
    lead_id: str, location_id: str, as_of: datetime, champion: Champion, answer: Answer,
    scored_at: datetime,
) -> Row:  # fmt: skip
    """A new row of ``ml.online_scores``."""
    return {
        "score_id": str(uuid4()),
        "lead_id": lead_id,
        "location_id": location_id,
        "as_of": as_of,
        "score": answer.score,
        "tier": answer.tier,
        "reasons": orjson.dumps(answer.explanation.reasons).decode(),
        "base_log_odds": answer.explanation.base,
        "other_log_odds": answer.explanation.other,
        "model_name": champion.name,
        "model_version": champion.version,
        "features_digest": answer.digest,
        "vector": answer.packed,
        "scored_at": scored_at,
    }


def told_row(row: Row, status: str, vector: Vector, answer: Answer) -> dict[str, Any]:
    """What the caller is told of a stored row; see :meth:`ml.online.OnlineScorer.score`."""
    return {
        "score_id": row["score_id"],
        "lead_id": row["lead_id"],
        "location_id": row["location_id"],
        "status": status,
        "as_of": vector.as_of.isoformat(),
        "score": answer.score,
        "tier": answer.tier,
        "reasons": list(answer.explanation.reasons),
        "base_log_odds": answer.explanation.base,
        "other_log_odds": answer.explanation.other,
        "features": vector.features,
        "features_digest": answer.digest,
        "model_name": row["model_name"],
        "model_version": row["model_version"],
    }


@cache
def one_lead_sql() -> str:
    """The features of one lead, with the parameters ``lead_id`` and ``as_of``."""
    try:
        return _ONE_LEAD_SQL.read_text("utf-8")
    except OSError as error:
        raise LeadEngineError(
            f"{_ONE_LEAD_SQL} cannot be read: {error.strerror}.",
            remedy="Restore it from the repository.",
        ) from error
