"""Has a provider anything that is not loaded yet? Asked often, so it has to be cheap."""

from datetime import timedelta

import psycopg

from ingestion.sources.ghl import extraction
from ingestion.state import stored_hashes
from ingestion.tables import TableSpec, table
from ingestion.validate import Rejection, validate
from ingestion.versions import row_hash
from leadengine.clock import SystemClock
from providers.factory import Clients
from providers.ghl import GhlClient
from warehouse.database import Database

CONTACTS = table("raw_ghl", "contacts")
MESSAGES = table("raw_ghl", "messages")
_TICK = timedelta(milliseconds=1)  # HighLevel's times have no finer parts


def has_new_data(clients: Clients, database: Database) -> list[str]:
    """Locations with contacts or messages newer than what was loaded.

    One request a location when a contact changed, three when nothing did (contacts, messages,
    emails). A location that was never loaded counts as changed. Deletions are left to the loads.

    Raises:
        ProviderError: a location cannot be asked.
    """
    changed = []
    with database.connect() as connection:
        for location_id, client in clients.ghl.items():
            if any(_has_news(connection, client, spec) for spec in (CONTACTS, MESSAGES)):
                changed.append(location_id)
    return changed


def _has_news(connection: psycopg.Connection, client: GhlClient, spec: TableSpec) -> bool:
    found = extraction(connection, client, spec, SystemClock(), full=False)
    if found.state.backfill or found.state.cursor is None:
        return True
    # What lies in the overlap window behind the cursor is left to the loads. The oldest page after
    # it will do: it holds news, or there are none.
    page = next(found.read(found.state.cursor + _TICK), [])
    rows = [
        row
        for payload in page
        if not isinstance(row := validate(spec.record, payload, found.context), Rejection)
    ]
    keys = [tuple(str(row[name]) for name in spec.primary_key) for row in rows]
    stored = stored_hashes(connection, spec, keys)
    return any(stored.get(key) != row_hash(row) for key, row in zip(keys, rows, strict=True))
