"""Contacts that the provider no longer has: deleted, or merged into another one.

No event or list tells of either, so the loader compares: when the provider's number of contacts
is not ours, all ids are read, and those of ours that are missing are asked for one by one before
they are declared gone.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg

from ingestion.extraction import Extraction
from ingestion.state import load_state
from ingestion.tables import table
from leadengine.clock import Clock
from providers.errors import Rejected
from providers.ghl import GhlClient
from warehouse.database import Database

CONTACTS = table("raw_ghl", "contacts")
TOMBSTONES = table("raw_ghl", "contact_tombstones")
SWEEP_ENTITY = "contact_ids"
SWEEP_EVERY = timedelta(days=1)
"""All ids are read this often even when the numbers agree: one gone and one new look the same."""

VERIFY_AT_MOST = 500
"""Missing contacts asked for in one load and location; the rest follow in the next ones."""

_LIVE = """
select contact.id
from raw_ghl.contacts as contact
left join raw_ghl.contact_tombstones as tombstone
    on tombstone.location_id = contact.location_id and tombstone.contact_id = contact.id
where contact.location_id = %s and tombstone.contact_id is null
"""

# The survivor of a merge lists the loser's address or number among its additional ones; of
# several that do, the one that changed last is it.
_SURVIVOR = """
with loser as (
    select id, lower(email) as email, regexp_replace(phone, '[^0-9]', '', 'g') as phone
    from raw_ghl.contacts
    where location_id = %(location_id)s and id = %(contact_id)s
),

candidates as (
    select
        survivor.id,
        survivor.date_updated,
        exists (
            select from jsonb_array_elements(
                case when jsonb_typeof(survivor.additional_emails) = 'array'
                    then survivor.additional_emails else '[]' end
            ) as entry (value)
            where lower(case jsonb_typeof(entry.value)
                when 'object' then entry.value ->> 'email' else entry.value #>> '{}' end
            ) = loser.email
        ) as by_email,
        exists (
            select from jsonb_array_elements(
                case when jsonb_typeof(survivor.additional_phones) = 'array'
                    then survivor.additional_phones else '[]' end
            ) as entry (value)
            where right(regexp_replace(case jsonb_typeof(entry.value)
                when 'object' then entry.value ->> 'phone' else entry.value #>> '{}' end,
                '[^0-9]', '', 'g'), 10) = right(loser.phone, 10)
                and length(loser.phone) >= 7
        ) as by_phone
    from raw_ghl.contacts as survivor
    cross join loser
    left join raw_ghl.contact_tombstones as tombstone
        on tombstone.location_id = survivor.location_id and tombstone.contact_id = survivor.id
    where survivor.location_id = %(location_id)s
        and survivor.id <> loser.id
        and tombstone.contact_id is null
        and not (survivor.id = any(%(gone)s))
)

select id, by_email, by_phone
from candidates
where by_email or by_phone
order by by_email and by_phone desc, date_updated desc nulls last, id
limit 1
"""


def sweep_due(connection: psycopg.Connection, location_id: str, now: datetime) -> bool:
    """Whether all contacts have to be read, whatever their number is."""
    last = _last_sweep(connection, location_id)
    return last is None or now - last[0] >= SWEEP_EVERY


def numbers_differ(connection: psycopg.Connection, client: GhlClient) -> bool:
    """Whether the provider has more or fewer contacts than we have without tombstone."""
    last = _last_sweep(connection, client.location_id)
    if last is None:
        return True
    # Broken contacts are among the provider's, and not among ours.
    return client.count_contacts() != len(live_ids(connection, client.location_id)) + last[1]


def _last_sweep(connection: psycopg.Connection, location_id: str) -> tuple[datetime, int] | None:
    """When all ids were last read, and how many of them we could not load."""
    row = connection.execute(
        """
        select started_at, rows_quarantined from ops.load_runs
        where source = 'ghl' and entity = %s and location_id = %s
        order by load_run_id desc limit 1
        """,
        (SWEEP_ENTITY, location_id),
    ).fetchone()
    return None if row is None else (row[0], int(row[1]))


def sweep_run(
    database: Database, location_id: str, contacts: Extraction, clock: Clock
) -> dict[str, object]:
    """The row of ``ops.load_runs`` that the next :func:`numbers_differ` compares with."""
    with database.connect() as connection:
        row = connection.execute(
            "select count(*) from raw_ghl.contacts where location_id = %s and id = any(%s)",
            (location_id, list(contacts.ids)),
        ).fetchone()
    held = row[0] if row else 0
    return {
        "source": "ghl",
        "entity": SWEEP_ENTITY,
        "location_id": location_id,
        "started_at": contacts.started_at,
        "finished_at": clock.now(),
        "rows_loaded": len(contacts.ids),
        "rows_quarantined": len(contacts.ids) - held,
        "cursor": None,
        "full_load": True,
    }


def live_ids(connection: psycopg.Connection, location_id: str) -> set[str]:
    """Ids of the contacts that we hold and have no tombstone for."""
    return {name for (name,) in connection.execute(_LIVE, (location_id,))}


def bury(database: Database, client: GhlClient, ids: set[str], clock: Clock) -> Extraction | None:
    """Finds who is gone.

    Contacts that have come back lose their tombstones at once.

    Args:
        database: with the contacts loaded.
        client: of the location.
        ids: every contact id that the provider gave a moment ago, broken contacts included.
        clock: tells the time of detection.

    Returns:
        The new tombstones to load; None when there are none.
    """
    location_id = client.location_id
    with database.connect() as connection:
        connection.execute(
            "delete from raw_ghl.contact_tombstones "
            "where location_id = %s and contact_id = any(%s)",
            (location_id, list(ids)),
        )
        missing = sorted(live_ids(connection, location_id) - ids)
        state = load_state(connection, TOMBSTONES, location_id)
    if not missing:
        return None

    def read(_since: object) -> Iterator[Sequence[Any]]:
        gone = [name for name in missing[:VERIFY_AT_MOST] if _is_gone(client, name)]
        with database.connect() as connection:
            yield [_tombstone(connection, location_id, name, gone, clock) for name in gone]

    return Extraction(
        spec=TOMBSTONES,
        location_id=location_id,
        read=read,
        state=state,
        context={"locationId": location_id},
        origins={},
    )


def _is_gone(client: GhlClient, contact_id: str) -> bool:
    try:
        client.get_contact(contact_id)
    except Rejected as error:
        if error.status in (400, 404):
            return True
        raise
    return False


def _tombstone(
    connection: psycopg.Connection, location_id: str, contact_id: str, gone: list[str], clock: Clock
) -> dict[str, Any]:
    survivor = connection.execute(
        _SURVIVOR, {"location_id": location_id, "contact_id": contact_id, "gone": gone}
    ).fetchone()
    tombstone: dict[str, Any] = {"contactId": contact_id, "detectedAt": clock.now()}
    if survivor is None:
        return tombstone | {"evidence": "the provider no longer has it"}
    merged_into, by_email, by_phone = survivor
    what = " and ".join(name for name, holds in (("email", by_email), ("phone", by_phone)) if holds)
    return tombstone | {
        "mergedInto": merged_into,
        "evidence": f"the provider no longer has it; the survivor lists its {what} as additional",
    }
