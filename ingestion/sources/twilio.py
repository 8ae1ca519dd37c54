"""Twilio: text messages, calls and recordings of the account that all locations share."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg

from ingestion.extraction import Extraction, Read
from ingestion.state import has_rows, load_state
from ingestion.tables import tables_of
from leadengine.settings import LocationConfig
from providers.twilio import TwilioClient


def extractions(
    connection: psycopg.Connection,
    client: TwilioClient,
    tables: set[str],
    locations: Sequence[LocationConfig],
    *,
    full: bool,
) -> list[Extraction]:
    """What to read; a row's location is the one whose number sent or received it."""
    numbers = {entry.from_number: entry.location_id for entry in locations if entry.from_number}
    readers: dict[str, Read] = {
        "messages": lambda since: _located(client.iter_messages(sent_after=since), numbers),
        "calls": lambda since: _located(client.iter_calls(since), numbers),
        "recordings": lambda since: client.iter_recordings(since),
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
        for spec in tables_of("twilio")
        if spec.table in tables
    ]


def _located(pages: Iterator[Sequence[Any]], numbers: Mapping[str, str]) -> Iterator[Sequence[Any]]:
    for page in pages:
        yield [
            {
                **record,
                "locationId": numbers.get(str(record.get("from")))
                or numbers.get(str(record.get("to"))),
            }
            if isinstance(record, dict)
            else record
            for record in page
        ]
