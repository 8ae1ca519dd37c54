"""SendGrid: suppressed addresses, and what became of the emails."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from ingestion.extraction import Extraction, Read
from ingestion.state import has_rows, load_state
from ingestion.tables import tables_of
from leadengine.clock import Clock
from leadengine.log import get_logger
from leadengine.settings import LocationConfig
from providers.sendgrid import SendGridClient, SuppressionKind
from warehouse.database import Database

log = get_logger(__name__)

SUPPRESSION_KINDS: tuple[SuppressionKind, ...] = (
    "bounces",
    "blocks",
    "invalid_emails",
    "spam_reports",
    "unsubscribes",
)
ACTIVITY_KEPT = timedelta(days=30)
"""SendGrid keeps the activity of a message this long."""
ACTIVITY_PAGE = 1000
SHORTEST_WINDOW = timedelta(seconds=1)

_SENDS = """
select provider_message_id, send_id::text, location_id
from ops.sends
where provider = 'sendgrid' and provider_message_id = any(%s)
"""


def extractions(
    connection: psycopg.Connection,
    client: SendGridClient,
    tables: set[str],
    locations: Sequence[LocationConfig],
    database: Database,
    clock: Clock,
    *,
    full: bool,
) -> list[Extraction]:
    """What to read; an email's location is the one it was sent for, else its sender's."""
    senders = {
        entry.from_email.lower(): entry.location_id for entry in locations if entry.from_email
    }
    readers: dict[str, Read] = {
        "suppressions": lambda since: _suppressions(client, since),
        "email_activity": lambda since: _attributed(
            _activity(client, since or clock.now() - ACTIVITY_KEPT, clock.now()), senders, database
        ),
    }
    return [
        Extraction(
            spec=spec,
            location_id=None,
            read=readers[spec.table],
            state=load_state(connection, spec, None),
            full=full,
            fresh=not has_rows(connection, spec, None),
        )
        for spec in tables_of("sendgrid")
        if spec.table in tables
    ]


def _suppressions(client: SendGridClient, since: datetime | None) -> Iterator[Sequence[Any]]:
    for kind in SUPPRESSION_KINDS:
        for page in client.iter_suppressions(kind, since):
            yield [
                {**record, "kind": kind} if isinstance(record, dict) else record for record in page
            ]


def _activity(client: SendGridClient, start: datetime, end: datetime) -> Iterator[Sequence[Any]]:
    """Messages by their last event; the search has no pages, so full windows are halved."""
    query = f'last_event_time BETWEEN TIMESTAMP "{_utc(start)}" AND TIMESTAMP "{_utc(end)}"'
    found = client.search_activity(query, ACTIVITY_PAGE)
    if len(found) >= ACTIVITY_PAGE:
        if end - start > SHORTEST_WINDOW:
            middle = start + (end - start) / 2
            yield from _activity(client, start, middle)
            yield from _activity(client, middle, end)
            return
        log.warning("more than %d emails had an event in one second", ACTIVITY_PAGE)
    if found:
        yield found


def _attributed(
    pages: Iterator[Sequence[Any]], senders: Mapping[str, str], database: Database
) -> Iterator[Sequence[Any]]:
    for page in pages:
        with database.connect() as connection:
            sends = {
                message: (send, location)
                for message, send, location in connection.execute(
                    _SENDS, ([_message_id(record) for record in page],)
                )
            }
        yield [_attribute(record, senders, sends) for record in page]


def _attribute(
    record: Any, senders: Mapping[str, str], sends: Mapping[str, tuple[str, str]]
) -> Any:
    if not isinstance(record, dict):
        return record
    send_id, location_id = sends.get(_message_id(record), (None, None))
    sender = str(record.get("from_email") or "").lower()
    return {**record, "send_id": send_id, "locationId": location_id or senders.get(sender)}


def _message_id(record: Any) -> str:
    """What the API answered when the email was sent: the part before the first dot."""
    name = record.get("msg_id") if isinstance(record, dict) else None
    return str(name or "").split(".", 1)[0]


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
