"""The rows of a scoring run, gathered chunk by chunk and written to ``ml.lead_scores`` by COPY."""

import io
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from psycopg.types.json import Jsonb

from leadengine.errors import LeadEngineError
from ml.champion import Champion
from ml.reasons import explain
from ml.schema import Matrix
from ml.statements import statement

# Large enough to pack well, small enough to be read for the sake of one lead.
BLOCK_ROWS = 4_096
_WRITTEN_ROWS = 50_000
_COLUMNS = (
    "lead_id", "location_id", "as_of", "score", "tier", "rank", "reasons", "model_name",
    "model_version", "features_digest", "scored_at", "block_id", "block_row", "base_log_odds",
    "other_log_odds",
)  # fmt: skip


class Scored:
    """What is kept of the chunks of a run.

    Args:
        best: of how many rows, best first, the vectors are kept in memory for their reasons.
    """

    def __init__(self, best: int) -> None:
        self._limit = best
        self._chunks: list[tuple[pa.Array, Matrix, Any, pa.Array]] = []
        self._moments: set[Any] = set()
        # Scores and places, vectors and texts, chunk by chunk; none is below the edge.
        self._best: list[tuple[Matrix, Matrix, pd.DataFrame]] = []
        self._edge = -np.inf
        self.blocks: list[tuple[str, int, Future[bytes]]] = []
        self.rows = 0

    def add_block(self, location_id: str, rows: int, packed: "Future[bytes]") -> None:
        """Keeps the next ``rows`` vectors, all of one location, packed by the time of writing."""
        self.blocks.append((location_id, rows, packed))

    def add(
        self,
        leads: "pd.Series[Any]",
        moments: "pd.Series[Any]",
        scores: Matrix,
        tiers: "np.ndarray[Any, Any]",
        digests: list[str],
        matrix: Matrix,
        texts: pd.DataFrame,
    ) -> None:
        """Keeps a chunk: rows in the order of its blocks.

        Args:
            leads: lead ids.
            moments: their ``as_of``.
            scores: calibrated probabilities.
            tiers: tier of each.
            digests: of each vector.
            matrix: the vectors.
            texts: categorical values as the warehouse has them.
        """
        self._moments.update(moments.unique())
        self._chunks.append((pa.array(leads, pa.string()), scores, tiers, pa.array(digests)))
        places = np.arange(self.rows, self.rows + len(scores), dtype=np.float64)
        self.rows += len(scores)
        kept = scores >= self._edge
        self._best.append((np.column_stack([scores, places])[kept], matrix[kept], texts[kept]))
        if sum(len(keys) for keys, _, _ in self._best) > 2 * self._limit:
            self._thin_out()

    def _thin_out(self) -> None:
        """Lets go of what is no longer among the best."""
        scores = np.concatenate([keys[:, 0] for keys, _, _ in self._best])
        # Ties at the edge stay until the order of their ids decides.
        self._edge = np.partition(scores, -self._limit)[-self._limit]
        masks = [keys[:, 0] >= self._edge for keys, _, _ in self._best]
        self._best = [
            (keys[mask], matrix[mask], texts[mask])
            for (keys, matrix, texts), mask in zip(self._best, masks, strict=True)
        ]

    def finish(self, source: str) -> None:
        """Puts the chunks together.

        Raises:
            LeadEngineError: the rows are not all of one moment.
        """
        if not self.rows:
            return
        if len(self._moments) != 1:
            raise LeadEngineError(
                f"{source} holds {len(self._moments)} different moments.",
                remedy="Build it again, or say which as_of to score.",
            )
        self.moment: datetime = pd.Timestamp(self._moments.pop()).to_pydatetime()
        self.leads = pa.concat_arrays([chunk[0] for chunk in self._chunks])
        self.scores = np.concatenate([chunk[1] for chunk in self._chunks])
        self.tiers = np.concatenate([chunk[2] for chunk in self._chunks])
        self.digests = pa.concat_arrays([chunk[3] for chunk in self._chunks])
        self._chunks.clear()

    @property
    def locations(self) -> list[str]:
        """Whose leads these are."""
        return sorted({block[0] for block in self.blocks})

    def ranks(self) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """Each row's place, from 1: by score, then by lead id."""
        order = pc.sort_indices(
            pa.table({"score": self.scores, "lead": self.leads}),
            sort_keys=[("score", "descending"), ("lead", "ascending")],
        ).to_numpy()
        rank = np.empty(self.rows, dtype=np.int64)
        rank[order] = np.arange(1, self.rows + 1)
        return rank

    def best(
        self, ranks: "np.ndarray[Any, Any]"
    ) -> tuple["np.ndarray[Any, np.dtype[np.int64]]", Matrix, pd.DataFrame]:
        """Places, vectors and texts of the rows that get reasons."""
        if not self._best:
            raise RuntimeError("no chunk was added")
        keys = np.vstack([chunk[0] for chunk in self._best])
        matrix = np.vstack([chunk[1] for chunk in self._best])
        texts = pd.concat([chunk[2] for chunk in self._best], ignore_index=True)
        places = keys[:, 1].astype(np.int64)
        kept = ranks[places] <= self._limit
        return places[kept], matrix[kept], texts[kept]


class ScoreTable:
    """Writes a run's scores in the connection's transaction."""

    def __init__(
        self,
        connection: psycopg.Connection,
        champion: Champion,
        scored: Scored,
        scored_at: datetime,
    ) -> None:
        self._connection = connection
        self._champion = champion
        self._scored = scored
        self._scored_at = scored_at

    def write(self, location_id: str | None) -> None:
        """Replaces the scores of the run's moment, of all locations or of one.

        Args:
            location_id: whose scores are replaced; None: everybody's.
        """
        scored = self._scored
        parameters = {"as_of": scored.moment, "location_id": location_id}
        self._connection.execute(statement("delete_blocks.sql"), parameters)
        self._connection.execute(statement("delete_scores.sql"), parameters)
        ranks = scored.ranks()
        columns: dict[str, Any] = {
            "lead_id": scored.leads,
            "score": scored.scores,
            "tier": pa.array(scored.tiers.tolist(), pa.string()),
            "rank": ranks,
            "features_digest": scored.digests,
            **self._write_blocks(),
        }
        places, matrix, texts = scored.best(ranks)
        told = np.zeros(scored.rows, dtype=np.bool_)
        told[places] = True
        with ThreadPoolExecutor(1) as pool:
            # The server writes the many without reasons while those of the others are found.
            copied = pool.submit(self._copy, columns | _no_reasons(scored.rows), ~told)
            reasons = self._explained(places, matrix, texts)
            copied.result()
        self._copy(columns | reasons, told)
        if location_id is not None:
            self._connection.execute(statement("rank_again.sql"), parameters)

    def _write_blocks(self) -> dict[str, Any]:
        """Stores the vectors; says for each row in which block and where in it."""
        blocks = self._scored.blocks
        ids = self._connection.execute(statement("reserve_blocks.sql"), [len(blocks)]).fetchall()
        champion = self._champion
        columns = Jsonb(champion.model.schema.to_dict()["features"])
        with self._connection.cursor() as cursor:
            cursor.executemany(
                statement("store_block.sql"),
                [
                    (block_id, location, self._scored.moment, champion.name, champion.version,
                     rows, packed.result(), self._scored_at, columns)
                    for (block_id,), (location, rows, packed) in zip(ids, blocks, strict=True)
                ],
            )  # fmt: skip
        sizes = [rows for _, rows, _ in blocks]
        locations = pa.DictionaryArray.from_arrays(
            np.repeat(np.arange(len(blocks), dtype=np.int32), sizes),
            pa.array([location for location, _, _ in blocks], pa.string()),
        )
        return {
            "location_id": locations.dictionary_decode(),
            "block_id": np.repeat(np.array([one for (one,) in ids], dtype=np.int64), sizes),
            "block_row": np.concatenate([np.arange(rows, dtype=np.int32) for rows in sizes]),
        }

    def _explained(
        self, places: "np.ndarray[Any, np.dtype[np.int64]]", matrix: Matrix, texts: pd.DataFrame
    ) -> dict[str, Any]:
        """Reasons of the rows at ``places``; of the others none."""
        scored, schema = self._scored, self._champion.model.schema
        values = [
            dict(zip(schema.names, row, strict=True)) for row in matrix.astype(object).tolist()
        ]
        for name in texts.columns:
            for row, text in zip(values, texts[name].tolist(), strict=True):
                row[name] = text
        reasons = np.full(scored.rows, "[]", dtype=object)
        numbers = np.full((scored.rows, 2), np.nan)
        found = explain(self._champion.model, matrix, values)
        for place, one in zip(places.tolist(), found, strict=True):
            reasons[place] = orjson.dumps(one.reasons).decode()
            numbers[place] = one.base, one.other
        return {
            "reasons": pa.array(reasons, pa.string()),
            "base_log_odds": pa.array(numbers[:, 0], from_pandas=True),
            "other_log_odds": pa.array(numbers[:, 1], from_pandas=True),
        }

    def _copy(self, columns: dict[str, Any], chosen: "np.ndarray[Any, np.dtype[np.bool_]]") -> None:
        """Writes the chosen rows of columns that hold all."""
        same = {
            "as_of": self._scored.moment.isoformat(),
            "model_name": self._champion.name,
            "model_version": self._champion.version,
            "scored_at": self._scored_at.isoformat(),
        }
        rows = self._scored.rows
        columns = columns | {name: pa.repeat(pa.scalar(text), rows) for name, text in same.items()}
        table = pa.table({name: columns[name] for name in _COLUMNS}).filter(pa.array(chosen))
        # In the order of the primary key: its index then grows at one end, in half the time.
        table = table.sort_by("lead_id")
        options = pacsv.WriteOptions(include_header=False)
        copied = f"copy ml.lead_scores ({', '.join(_COLUMNS)}) from stdin (format csv)"
        with self._connection.cursor() as cursor, cursor.copy(copied.encode()) as copy:
            for start in range(0, table.num_rows, _WRITTEN_ROWS):
                text = io.BytesIO()
                pacsv.write_csv(table.slice(start, _WRITTEN_ROWS), text, options)
                copy.write(text.getbuffer())


def _no_reasons(rows: int) -> dict[str, Any]:
    return {
        "reasons": pa.repeat(pa.scalar("[]"), rows),
        "base_log_odds": pa.nulls(rows, pa.float64()),
        "other_log_odds": pa.nulls(rows, pa.float64()),
    }


def drop_old_vectors(connection: psycopg.Connection, now: datetime, days: int) -> None:
    """Lets go of vectors older than ``days``; the scores stay, but can no longer be replayed."""
    before = {"before": now - timedelta(days=days)}
    connection.execute(statement("drop_old_blocks.sql"), before)
    connection.execute(statement("drop_old_online_vectors.sql"), before)
