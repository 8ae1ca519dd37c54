"""Broken records: kept whole, with the reason, once; never a reason to stop a load."""

import hashlib
import json
from collections.abc import Sequence

import psycopg
from psycopg.types.json import Jsonb

from ingestion.tables import TableSpec
from ingestion.validate import Rejection
from warehouse.storable import storable, storable_text

# The unique index quarantine_once keeps a record that every load meets again from piling up.
_INSERT = """
insert into ops.quarantine
    (source, entity, location_id, row_key, reason, payload, payload_digest, load_id)
values (%s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""


def quarantine(
    connection: psycopg.Connection,
    spec: TableSpec,
    location_id: str | None,
    rejections: Sequence[Rejection],
    load_id: str,
) -> int:
    """Writes rejected records to ``ops.quarantine``; the caller commits.

    Returns:
        How many of them were not there yet.
    """
    added = 0
    for rejection in rejections:
        payload = storable(rejection.payload)
        # With the location: ids, and so whole records, may be the same in two of them.
        text = json.dumps([location_id, payload], sort_keys=True, separators=(",", ":"))
        digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        row_key = storable_text(rejection.row_key) if rejection.row_key else None
        added += connection.execute(
            _INSERT,
            (
                spec.source, spec.table, location_id, row_key, rejection.reason,
                Jsonb(payload), digest, load_id,
            ),
        ).rowcount  # fmt: skip
    return added
