"""The tags that show a lead's tier in the CRM; no other tag is touched."""

from __future__ import annotations

from collections import defaultdict
from typing import Literal

import psycopg

from activation.crm_halt import add_error, halt_if_refused
from activation.types import WritebackReport
from leadengine.clock import Clock
from providers.errors import ProviderError
from providers.ghl import GhlClient

CLOSED = "closed"
"""The tier that is shown of a lead that is open no more; it has no tag."""
TIER_TAGS = ("score:hot", "score:warm", "score:cool", "score:cold")


def write_tags(
    connection: psycopg.Connection, client: GhlClient, clock: Clock, report: WritebackReport
) -> None:
    """Adds the tier's tag and takes the old tier's away, in bulk, for all that wait for it."""
    rows = connection.execute(
        "select contact_id, fields ->> 'tier', tags from ops.crm_writes"
        " where location_id = %s and status = 'tags_pending' order by contact_id",
        (client.location_id,),
    ).fetchall()
    wanted = {contact: () if tier == CLOSED else (f"score:{tier}",) for contact, tier, _ in rows}
    adds: defaultdict[str, list[str]] = defaultdict(list)
    removes: defaultdict[str, list[str]] = defaultdict(list)
    for contact, _, tags in rows:
        for tag in set(wanted[contact]) - set(tags):
            adds[tag].append(contact)
        for tag in set(tags) - set(wanted[contact]):
            removes[tag].append(contact)
    failed: set[str] = set()
    for change, groups in (("add", adds), ("remove", removes)):
        for tag, contacts in groups.items():
            failed |= _bulk(client, "add" if change == "add" else "remove", contacts, tag, report)
    for contact, tags in wanted.items():
        if contact in failed:
            continue
        report.tag_changes += 1
        connection.execute(
            "update ops.crm_writes set tags = %s, status = 'written', written_at = %s"
            " where location_id = %s and contact_id = %s",
            (list(tags), clock.now(), client.location_id, contact),
        )
    connection.commit()


def _bulk(
    client: GhlClient,
    change: Literal["add", "remove"],
    contacts: list[str],
    tag: str,
    report: WritebackReport,
) -> set[str]:
    """The contacts whose tags could not be changed. They stay pending and are tried next time."""
    failed: set[str] = set()
    size = 100
    for start in range(0, len(contacts), size):
        chunk = contacts[start : start + size]
        try:
            errors = client.bulk_tags(change, chunk, [tag])
        except ProviderError as error:
            halt_if_refused(error)
            errors = len(chunk)
            add_error(report, f"tags: {error.message}")
        if not errors:
            continue
        if len(chunk) == 1 or errors == len(chunk):
            failed |= set(chunk)
            continue
        # The answer does not say which: one by one, which a repeat of a tag survives.
        for contact in chunk:
            failed |= _bulk(client, change, [contact], tag, report)
    return failed
