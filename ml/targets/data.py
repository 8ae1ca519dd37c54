"""Rows of ``intermediate.int_target_training_set``."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from psycopg import errors, sql

from leadengine.errors import LeadEngineError
from ml.schema import Matrix
from ml.warehouse_io import feature_names, read_frame
from warehouse.database import Database

TABLE = "intermediate.int_target_training_set"
_OTHERS = ("target", "split_group", "label", "treated", "event_days", "observed_days")


@dataclass(frozen=True)
class TargetRows:
    """What one target's model learns from.

    Attributes:
        frame: the features.
        label: 1 where it happened.
        leads: who a row is of, as far as splits go.
        as_of: the rows' moments, UTC.
        treated: 1 where the draw was to send; NaN but for uplift.
        event_days, observed_days: days to the conversion and to the end of what is known; NaN
            but for time to convert.
        digest: of all that was read.
    """

    frame: pd.DataFrame = field(repr=False)
    label: Matrix = field(repr=False)
    leads: "np.ndarray[Any, Any]" = field(repr=False)
    as_of: "pd.Series[Any]" = field(repr=False)
    treated: Matrix = field(repr=False)
    event_days: Matrix = field(repr=False)
    observed_days: Matrix = field(repr=False)
    digest: str


def read_target(database: Database, target: str) -> TargetRows:
    """The rows of one target, in an order that does not change.

    Raises:
        LeadEngineError: the table is not there.
    """
    query = sql.SQL("select * from {} where target = {} order by lead_id, as_of").format(
        sql.Identifier(*TABLE.split(".")), sql.Literal(target)
    )
    with database.connect() as connection:
        try:
            frame = read_frame(connection, query)
        except errors.UndefinedTable as error:
            raise LeadEngineError(
                f"{TABLE} is not there.",
                remedy="Load leads and build the dbt project first: `leadengine run` does both.",
            ) from error
    rows = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    names = ",".join(map(str, frame.columns)).encode()
    return TargetRows(
        frame=frame[feature_names(list(frame.columns), *_OTHERS)],
        label=frame["label"].to_numpy(dtype=np.float64),
        leads=frame["split_group"].to_numpy(dtype=object),
        as_of=frame["as_of"],
        treated=frame["treated"].to_numpy(dtype=np.float64),
        event_days=frame["event_days"].to_numpy(dtype=np.float64),
        observed_days=frame["observed_days"].to_numpy(dtype=np.float64),
        digest=hashlib.sha256(names + rows.tobytes()).hexdigest(),
    )
