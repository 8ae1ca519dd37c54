"""Scores of open leads, all at once and one at a time, by the same model and the same features."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
from psycopg import errors, sql
from psycopg.rows import dict_row

from leadengine.clock import SystemClock
from leadengine.errors import LeadEngineError
from leadengine.log import get_logger
from leadengine.settings import Settings
from ml.champion import Champion, load_champion
from ml.reasons import reasons
from ml.schema import Matrix
from ml.warehouse_io import KEYS, read_frames
from warehouse.copy import copy_rows
from warehouse.database import Database

log = get_logger("ml.scoring")

FEATURES = "marts.lead_features"
# Reasons take most of the time; nobody reads those of the millionth lead.
REASONS_FOR = 50_000
# A promotion reaches the online path within this time.
PROMOTION_SECONDS = 30.0
_CHUNK_ROWS = 100_000
_LOCK = 7_301_204_418
_ONE_LEAD_SQL = (
    Path(__file__).resolve().parent.parent / "dbt_project" / "rendered" / "one_lead_features.sql"
)


class UnknownLeadError(LeadEngineError):
    """There is no such lead in the warehouse."""


@dataclass(frozen=True)
class ScoringResult:
    """What came of scoring all open leads.

    Attributes:
        rows: leads scored.
        model_version: of ``lead_conversion``.
        tiers: leads per tier.
        as_of: the moment that the scores are for, UTC; None where there was no lead.
    """

    rows: int
    model_version: str
    tiers: dict[str, int]
    as_of: datetime | None


@dataclass(frozen=True)
class _Scored:
    leads: "np.ndarray[Any, Any]"
    matrix: Matrix
    frame: pd.DataFrame
    score: Matrix


def score_open_leads(
    database: Database, settings: Settings, as_of: datetime | None = None
) -> ScoringResult:
    """Scores every row of ``marts.lead_features`` with the champion into ``ml.lead_scores``.

    The rank runs over all leads, best first, ties by lead id. Writing the same moment again
    replaces its rows, so a retry changes nothing.

    Args:
        database: the warehouse.
        settings: where MLflow is.
        as_of: score only rows of this moment; by default the moment of the table.

    Raises:
        LeadEngineError: there is no champion, no feature table, or it lacks a feature.
    """
    champion = load_champion(settings, database)
    with database.connect() as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        try:
            # Until the end, so that the features stored are the features scored.
            connection.execute(f"lock table {FEATURES} in share mode")
            chunks = list(_score_chunks(connection, champion, as_of))
        except errors.UndefinedTable as error:
            raise LeadEngineError(
                f"{FEATURES} is not there.",
                remedy="Load leads and build the dbt project first: `leadengine run` does both.",
            ) from error
        if not chunks:
            return ScoringResult(0, champion.version, {}, None)
        moment = _moment(chunks)
        tiers = _store(connection, champion, chunks, moment)
    rows = sum(len(chunk.leads) for chunk in chunks)
    log.info("%d leads scored by version %s", rows, champion.version)
    return ScoringResult(rows, champion.version, tiers, moment)


def score_lead(
    database: Database, settings: Settings, lead_id: str, as_of: datetime | None = None
) -> dict[str, Any]:
    """Scores one lead now, from events as they are now.

    The features are computed by the compiled form of the very macro that fills
    ``marts.lead_features``.

    Args:
        database: the warehouse.
        settings: where MLflow is.
        lead_id: as in ``marts.dim_leads``.
        as_of: another moment, aware; nothing later is seen.

    Returns:
        lead_id, location_id, status, as_of (ISO 8601, UTC), score, tier, reasons, features,
        features_digest, model_name, model_version.

    Raises:
        UnknownLeadError: no such lead.
        LeadEngineError: there is no champion, or the warehouse is not built.
    """
    champion = load_champion(settings, database, max_age_seconds=PROMOTION_SECONDS)
    moment = as_of or SystemClock().now()
    with database.connect() as connection:
        try:
            lead = connection.execute(
                "select location_id, status from marts.dim_leads where lead_id = %s", [lead_id]
            ).fetchone()
            row = _one_lead(connection, lead_id, moment) if lead else None
        except errors.UndefinedTable as error:
            raise LeadEngineError(
                f"The warehouse is not built: {error.diag.message_primary}.",
                remedy="Run `leadengine run` first.",
            ) from error
    if lead is None or row is None:
        raise UnknownLeadError(
            f"There is no lead {lead_id!r}.",
            remedy="Give a lead_id of marts.dim_leads: location and contact, joined by a colon.",
        )
    model = champion.model
    model.schema.check_columns(row, "The online feature query")
    features = {name: value for name, value in row.items() if name not in KEYS}
    matrix = model.schema.encode_row(features)
    score = float(model.predict(matrix)[0])
    return {
        "lead_id": lead_id,
        "location_id": lead[0],
        "status": lead[1],
        "as_of": moment.isoformat(),
        "score": score,
        "tier": model.tier(score),
        "reasons": reasons(model, matrix, [features])[0],
        "features": features,
        "features_digest": model.digest(matrix[0]),
        "model_name": champion.name,
        "model_version": champion.version,
    }


def replay(champion: Champion, features: Mapping[str, Any]) -> tuple[float, str]:
    """Score and digest of stored features: equal, to the bit, to what was stored with them.

    Args:
        champion: the version that the score was stored with.
        features: the ``features`` of a row of ``ml.lead_scores``.
    """
    matrix = champion.model.schema.encode_row(features)
    return float(champion.model.predict(matrix)[0]), champion.model.digest(matrix[0])


def _score_chunks(
    connection: psycopg.Connection, champion: Champion, as_of: datetime | None
) -> Iterator[_Scored]:
    relation = sql.Identifier(*FEATURES.split("."))
    query: sql.Composable = sql.SQL("select * from {}").format(relation)
    if as_of is not None:
        query = sql.SQL("{} where as_of = {}").format(query, sql.Literal(as_of))
    model = champion.model
    for frame in read_frames(connection, query, _CHUNK_ROWS):
        model.schema.check_columns([*frame.columns], FEATURES)
        matrix = model.schema.encode(frame)
        leads = frame["lead_id"].to_numpy(dtype=object)
        kept = frame[[*model.schema.names, "as_of"]]
        yield _Scored(leads, matrix, kept, model.predict(matrix))


def _moment(chunks: list[_Scored]) -> datetime:
    moments = {stamp for chunk in chunks for stamp in chunk.frame["as_of"].unique()}
    if len(moments) != 1:
        raise LeadEngineError(
            f"{FEATURES} holds {len(moments)} different moments.",
            remedy="Build it again, or say which as_of to score.",
        )
    moment: datetime = pd.Timestamp(moments.pop()).to_pydatetime()
    return moment


def _store(
    connection: psycopg.Connection,
    champion: Champion,
    chunks: list[_Scored],
    moment: datetime,
) -> dict[str, int]:
    tiers: Counter[str] = Counter()
    connection.execute(
        "create temporary table scored (lead_id text primary key, score double precision, "
        "tier text, rank integer, reasons jsonb, features_digest text) on commit drop"
    )
    columns = ("lead_id", "score", "tier", "rank", "reasons", "features_digest")
    copy_rows(connection, "pg_temp.scored", columns, _rows(champion, chunks, tiers))
    connection.execute("delete from ml.lead_scores where as_of = %s", [moment])
    connection.execute(
        _statement("store_scores.sql"),
        {
            "model_name": champion.name,
            "model_version": champion.version,
            "scored_at": SystemClock().now(),
        },
    )
    return dict(tiers)


def _rows(
    champion: Champion, chunks: list[_Scored], tiers: Counter[str]
) -> Iterator[tuple[str, float, str, int, str, str]]:
    model = champion.model
    scores = np.concatenate([chunk.score for chunk in chunks])
    leads = np.concatenate([chunk.leads for chunk in chunks])
    rank = np.empty(len(scores), dtype=np.int64)
    rank[np.lexsort((leads.astype(str), -scores))] = np.arange(1, len(scores) + 1)
    start = 0
    for chunk in chunks:
        ranks = rank[start : start + len(chunk.leads)]
        start += len(chunk.leads)
        explained = np.flatnonzero(ranks <= REASONS_FOR)
        values: list[Any] = (
            chunk.frame.iloc[explained].astype(object).to_dict("records") if len(explained) else []
        )
        why = dict(zip(explained, reasons(model, chunk.matrix[explained], values), strict=True))
        for i, lead in enumerate(chunk.leads):
            score = float(chunk.score[i])
            tier = model.tier(score)
            tiers[tier] += 1
            text = json.dumps(why.get(i, []), ensure_ascii=False)
            yield lead, score, tier, int(ranks[i]), text, model.digest(chunk.matrix[i])


def _one_lead(
    connection: psycopg.Connection, lead_id: str, moment: datetime
) -> dict[str, Any] | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(_one_lead_sql(), {"lead_id": lead_id, "as_of": moment})
        return cursor.fetchone()


@cache
def _one_lead_sql() -> bytes:
    try:
        return _ONE_LEAD_SQL.read_bytes()
    except OSError as error:
        raise LeadEngineError(
            f"{_ONE_LEAD_SQL} cannot be read: {error.strerror}.",
            remedy="Restore it from the repository.",
        ) from error


@cache
def _statement(name: str) -> bytes:
    return (Path(__file__).parent / "sql" / name).read_bytes()
