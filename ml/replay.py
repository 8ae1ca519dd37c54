"""Stored scores computed again from what was stored with them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
from psycopg.rows import dict_row

from leadengine.errors import LeadEngineError
from leadengine.settings import Settings
from ml.champion import Champion, load_version
from ml.reasons import explain
from ml.schema import Matrix
from ml.statements import statement
from ml.vectors import unpack
from warehouse.database import Database


@dataclass(frozen=True)
class Difference:
    """A stored score that was not reached again.

    Attributes:
        lead_id, as_of: whose score, of which moment.
        kind: ``batch`` or ``online``.
        what: which stored value differs: ``score``, ``features_digest``, ``tier`` or ``reasons``.
        stored, replayed: the two values.
    """

    lead_id: str
    as_of: datetime
    kind: str
    what: str
    stored: Any
    replayed: Any


@dataclass(frozen=True)
class Replay:
    """What came of replaying stored scores.

    Attributes:
        replayed: scores computed again.
        differences: of those, what was not equal to the last bit.
        without_vector: scores that were asked for but whose vectors are no longer kept.
        versions: versions of the model that were needed.
    """

    replayed: int
    differences: tuple[Difference, ...]
    without_vector: int
    versions: tuple[str, ...]


def replay(champion: Champion, features: Mapping[str, Any]) -> tuple[float, str]:
    """Score and digest of a lead's features: equal, to the bit, to what was stored with them.

    Args:
        champion: the version that the score was stored with.
        features: values by name, as the online answer gives them.
    """
    matrix = champion.model.schema.encode_row(features)
    return float(champion.model.predict(matrix)[0]), champion.model.digest(matrix[0])


def replay_scores(
    database: Database,
    settings: Settings,
    *,
    limit: int = 1_000,
    lead_id: str | None = None,
    seed: int = 0,
) -> Replay:
    """Loads the version that made each score and computes it from the stored vector.

    Equal means to the last bit: score, digest of the vector, tier, and the contributions of the
    reasons. Scores are taken evenly from runs and from online answers, or all of one lead.

    Args:
        database: the warehouse.
        settings: where MLflow is.
        limit: how many scores at most.
        lead_id: only this lead's.
        seed: another number, another sample.

    Raises:
        LeadEngineError: a version is no longer in the registry, or a vector cannot be read.
    """
    versions: dict[tuple[str, str], Champion] = {}
    differences: list[Difference] = []
    replayed = without = 0
    parameters = {"lead_id": lead_id, "limit": limit, "seed": seed}
    with database.connect() as connection:
        for kind in ("batch", "online"):
            cursor = connection.cursor(row_factory=dict_row)
            rows = cursor.execute(statement(f"replayed_{kind}.sql"), parameters).fetchall()
            for row, vector in _vectors(connection, kind, rows):
                if vector is None:
                    without += 1
                    continue
                key = row["model_name"], row["model_version"]
                if key not in versions:
                    versions[key] = load_version(settings, database, row["model_version"])
                replayed += 1
                differences += _compare(versions[key], kind, row, vector)
    return Replay(
        replayed, tuple(differences), without, tuple(sorted(version for _, version in versions))
    )


def _vectors(
    connection: psycopg.Connection, kind: str, rows: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], Matrix | Mapping[str, Any] | None]]:
    """Each stored score with its vector; of scores from before there were any, its values."""
    if kind == "online":
        for row in rows:
            yield row, unpack(row["vector"]) if row["vector"] is not None else None
        return
    block: tuple[int, Matrix] | None = None
    for row in rows:
        if row["block_id"] is None:
            yield row, row["features"]
            continue
        if block is None or block[0] != row["block_id"]:
            found = connection.execute(
                "select vectors from ml.feature_blocks where block_id = %s", [row["block_id"]]
            ).fetchone()
            if found is None:
                yield row, None
                continue
            block = row["block_id"], unpack(found[0])
        yield row, block[1][row["block_row"]][None, :]


def _compare(
    version: Champion, kind: str, row: dict[str, Any], vector: Matrix | Mapping[str, Any]
) -> Iterator[Difference]:
    model = version.model
    matrix = vector if isinstance(vector, np.ndarray) else model.schema.encode_row(vector)
    if matrix.shape[1] != len(model.schema.features):
        raise LeadEngineError(
            f"The vector of {row['lead_id']} has {matrix.shape[1]} values, version "
            f"{version.version} of the model has {len(model.schema.features)} features.",
            remedy="The registry was changed since; restore the version that made the score.",
        )
    score = float(model.predict(matrix)[0])
    stored = {name: row[name] for name in ("score", "features_digest", "tier")}
    again: dict[str, Any] = {
        "score": score,
        "features_digest": model.digest(matrix[0]),
        "tier": model.tier(score),
    }
    if row["base_log_odds"] is not None:
        values = {reason["feature"]: reason["value"] for reason in row["reasons"]}
        stored["reasons"] = [
            row["base_log_odds"], row["other_log_odds"],
            *((reason["feature"], reason["contribution"]) for reason in row["reasons"]),
        ]  # fmt: skip
        (explained,) = explain(model, matrix, [dict.fromkeys(model.schema.names) | values])
        again["reasons"] = [
            explained.base, explained.other,
            *((reason["feature"], reason["contribution"]) for reason in explained.reasons),
        ]  # fmt: skip
    for what, value in stored.items():
        if value != again[what]:
            yield Difference(row["lead_id"], row["as_of"], kind, what, value, again[what])
