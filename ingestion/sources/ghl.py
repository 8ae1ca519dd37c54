"""GoHighLevel: what is read for each location, and in which windows."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any

import psycopg

from ingestion import gone
from ingestion.extraction import Extraction
from ingestion.state import has_rows, load_state
from ingestion.tables import TableSpec, tables_of
from leadengine.clock import Clock
from providers.ghl import GhlClient

APPOINTMENTS_BACK = timedelta(days=3 * 365)
APPOINTMENTS_AHEAD = timedelta(days=180)
APPOINTMENTS_BACK_RECENT = timedelta(days=60)
"""How far back an hourly load looks for late outcomes; the daily one looks at everything."""

Pages = Iterator[Sequence[Any]]
Reader = Callable[[GhlClient, Clock, datetime | None], Pages]


def extractions(
    connection: psycopg.Connection,
    clients: dict[str, GhlClient],
    tables: set[str],
    clock: Clock,
    *,
    full: bool,
) -> list[Extraction]:
    """What to read, interleaved so that no location waits for another one's rate limit.

    Args:
        connection: to look up cursors.
        clients: one per location, by location id.
        tables: names of the tables that are wanted.
        clock: tells the present, for the appointments' windows.
        full: ignore the cursors.
    """
    by_location = [
        [
            extraction(connection, client, spec, clock, full=full)
            for spec in tables_of("ghl")
            if spec.table in tables and spec.table in READERS
        ]
        for client in clients.values()
    ]
    return [found for group in zip_longest(*by_location) for found in group if found is not None]


def extraction(
    connection: psycopg.Connection,
    client: GhlClient,
    spec: TableSpec,
    clock: Clock,
    *,
    full: bool,
) -> Extraction:
    """Reading ``spec`` for the client's location."""
    reader = READERS[spec.table]
    is_contacts = spec is gone.CONTACTS
    if is_contacts and not full:
        full = gone.sweep_due(connection, client.location_id, clock.now())
    return Extraction(
        spec=spec,
        location_id=client.location_id,
        read=lambda since: reader(client, clock, since),
        state=load_state(connection, spec, client.location_id),
        context={"locationId": client.location_id},
        full=full,
        fresh=not has_rows(connection, spec, client.location_id),
        keep_ids=is_contacts,
    )


def _users(client: GhlClient) -> Pages:
    # A user of several locations has no location of its own; here it is seen from this one.
    yield [
        {**user, "locationId": client.location_id} if isinstance(user, dict) else user
        for user in client.list_users()
    ]


def _appointments(client: GhlClient, clock: Clock, since: datetime | None) -> Pages:
    now = clock.now()
    back = APPOINTMENTS_BACK if since is None else APPOINTMENTS_BACK_RECENT
    return client.iter_calendar_events(now - back, now + APPOINTMENTS_AHEAD)


def _messages(client: GhlClient, _clock: Clock, since: datetime | None) -> Pages:
    yield from client.iter_messages(since)
    # The export leaves email out unless it is asked for by name.
    yield from client.iter_messages(since, "Email")


def _whole(pages: Callable[[GhlClient], Pages]) -> Reader:
    """A reader of a list that has no filter on changes."""
    return lambda client, _clock, _since: pages(client)


READERS: dict[str, Reader] = {
    "locations": _whole(lambda client: iter([[client.get_location()]])),
    "users": _whole(_users),
    "pipelines": _whole(lambda client: iter([client.list_pipelines()])),
    "calendars": _whole(lambda client: iter([client.list_calendars()])),
    "workflows": _whole(lambda client: iter([client.list_workflows()])),
    "custom_fields": _whole(lambda client: iter([client.list_custom_fields()])),
    "contacts": lambda client, _clock, since: client.iter_contacts(since),
    "messages": _messages,
    # The provider's search has no filter on changes: every page is read anyway, so that even the
    # latest of late rows is found.
    "opportunities": _whole(lambda client: client.iter_opportunities()),
    "appointments": _appointments,
    "tasks": _whole(lambda client: client.iter_tasks()),
}
