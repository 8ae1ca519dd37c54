"""Scores of all open leads, or of one location's, in one stream through the champion."""

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import psycopg
from psycopg import errors, sql

from leadengine.clock import SystemClock
from leadengine.errors import LeadEngineError
from leadengine.log import get_logger
from leadengine.settings import Settings
from ml.champion import Champion, load_scorer
from ml.score_table import BLOCK_ROWS, Scored, ScoreTable, drop_old_vectors
from ml.vectors import pack
from ml.warehouse_io import read_frames
from warehouse.database import Database

log = get_logger("ml.scoring")

FEATURES = "marts.lead_features"
# Reasons take most of the time; nobody reads those of the millionth lead.
REASONS_FOR = 50_000
_CHUNK_ROWS = 32_768
_LOCK = 7_301_204_418


@dataclass(frozen=True)
class ScoringResult:
    """What came of scoring open leads.

    Attributes:
        rows: leads scored.
        model_version: of ``lead_conversion``.
        tiers: leads per tier.
        as_of: the moment that the scores are for, UTC; None where there was no lead.
        locations: whose leads they are.
    """

    rows: int
    model_version: str
    tiers: dict[str, int]
    as_of: datetime | None
    locations: tuple[str, ...] = ()


def score_open_leads(
    database: Database,
    settings: Settings,
    as_of: datetime | None = None,
    location_id: str | None = None,
) -> ScoringResult:
    """Scores rows of ``marts.lead_features`` into ``ml.lead_scores``.

    With the champion or, while there is none, by the rules; ``model_name`` and ``model_version``
    say by which.

    The table is read in chunks while the server reads on; of a chunk only scores, packed vectors
    and what may yet be among the best ``REASONS_FOR`` are kept, so memory does not grow with the
    width of the table. The rank runs over all leads of the moment, best first, ties by lead id.
    Writing the same moment again replaces its rows, so a retry changes nothing.

    Args:
        database: the warehouse.
        settings: where MLflow is, and how long vectors are kept.
        as_of: score only rows of this moment; by default the moment of the table.
        location_id: score only this location's leads, and leave the others' scores as they are.
            Until every location has been scored at a new moment, ``ml.current_lead_scores`` holds
            only those that have.

    Raises:
        LeadEngineError: there is no feature table, it lacks a feature, or MLflow cannot be used.
    """
    champion = load_scorer(settings, database)
    with database.connect() as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        try:
            # Until the end, so that nobody rebuilds the table between two chunks.
            connection.execute(f"lock table {FEATURES} in share mode")
            scored = _score(connection, champion, as_of, location_id)
        except errors.UndefinedTable as error:
            raise LeadEngineError(
                f"{FEATURES} is not there.",
                remedy="Load leads and build the dbt project first: `leadengine run` does both.",
            ) from error
        if not scored.rows:
            return ScoringResult(0, champion.version, {}, None)
        table = ScoreTable(connection, champion, scored, SystemClock().now())
        table.write(location_id)
        drop_old_vectors(connection, SystemClock().now(), settings.score_vector_days)
    tiers, counts = np.unique(scored.tiers, return_counts=True)
    log.info("%d leads scored by version %s", scored.rows, champion.version)
    return ScoringResult(
        rows=scored.rows,
        model_version=champion.version,
        tiers=dict(zip(tiers.tolist(), counts.tolist(), strict=True)),
        as_of=scored.moment,
        locations=tuple(scored.locations),
    )


def _score(
    connection: psycopg.Connection,
    champion: Champion,
    as_of: datetime | None,
    location_id: str | None,
) -> Scored:
    relation = sql.Identifier(*FEATURES.split("."))
    query: sql.Composable = sql.SQL("select * from {}").format(relation)
    conditions = [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value))
        for name, value in (("as_of", as_of), ("location_id", location_id))
        if value is not None
    ]
    if conditions:
        query = sql.SQL("{} where {}").format(query, sql.SQL(" and ").join(conditions))
    scored = Scored(REASONS_FOR)
    # Vectors are packed on another core while the next chunk is scored.
    with ThreadPoolExecutor(1) as packing:
        for frame in read_frames(connection, query, _CHUNK_ROWS):
            champion.model.schema.check_columns([*frame.columns], FEATURES)
            _add(scored, champion, frame, packing)
    scored.finish(FEATURES)
    return scored


def _add(scored: Scored, champion: Champion, frame: pd.DataFrame, packing: Executor) -> None:
    """Scores one chunk."""
    model = champion.model
    # Blocks of vectors are of one location each.
    frame = frame.sort_values("location_id", kind="stable", ignore_index=True)
    matrix = model.schema.encode(frame)
    scores = model.predict(matrix)
    locations = frame["location_id"].to_numpy(dtype=object)
    firsts = np.flatnonzero(np.r_[True, locations[1:] != locations[:-1]])
    for first, end in zip(firsts, [*firsts[1:], len(locations)], strict=True):
        for start in range(first, end, BLOCK_ROWS):
            stop = min(start + BLOCK_ROWS, end)
            packed = packing.submit(pack, matrix[start:stop])
            scored.add_block(locations[first], stop - start, packed)
    names = [model.schema.names[i] for i in model.schema.categorical]
    scored.add(
        leads=frame["lead_id"],
        moments=frame["as_of"],
        scores=scores,
        tiers=model.tiers_of(scores),
        digests=model.digests(matrix),
        matrix=matrix,
        texts=frame[names],
    )
