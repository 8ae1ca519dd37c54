"""Apollo: what it knows of contacts, by email; each answer costs a credit, so a budget per load."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from ingestion.extraction import Extraction
from ingestion.state import exists, has_rows, load_state
from ingestion.tables import table
from leadengine.clock import Clock
from providers.apollo import ApolloClient

SPEC = table("raw_apollo", "people")
CONTACTS = table("raw_ghl", "contacts")
AT_ONCE = 10
"""People that one request may ask for."""

# Never asked for before, in whatever location; newest contacts first.
_WANTED = """
with wanted as (
    select distinct on (lower(trim(contact.email)))
        lower(trim(contact.email)) as email, contact.location_id, contact.id,
        contact.first_name, contact.last_name, contact.date_added
    from raw_ghl.contacts as contact
    left join raw_apollo.people as person on person.email = lower(trim(contact.email))
    left join raw_ghl.contact_tombstones as tombstone
        on tombstone.location_id = contact.location_id and tombstone.contact_id = contact.id
    where contact.email ~ '^[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+$'
        and person.email is null
        and tombstone.contact_id is null
    order by lower(trim(contact.email)), contact.date_added, contact.id
)

select * from wanted order by date_added desc, email limit %s
"""


def extractions(
    connection: psycopg.Connection, client: ApolloClient, budget: int, clock: Clock
) -> list[Extraction]:
    """Asking for the next contacts within the budget; nothing before contacts are loaded."""
    if budget == 0 or not exists(connection, CONTACTS) or not exists(connection, SPEC):
        return []
    wanted = connection.execute(_WANTED, (budget,)).fetchall()
    if not wanted:
        return []

    def read(_since: object) -> Iterator[Sequence[Any]]:
        for start in range(0, len(wanted), AT_ONCE):
            group = wanted[start : start + AT_ONCE]
            answers = client.bulk_match(
                [
                    {name: value for name, value in details.items() if value}
                    for details in (
                        {"email": person[0], "first_name": person[3], "last_name": person[4]}
                        for person in group
                    )
                ]
            )
            yield [
                _record(person, answer, clock)
                for person, answer in zip(group, answers, strict=True)
            ]

    return [
        Extraction(
            spec=SPEC,
            location_id=None,
            read=read,
            state=load_state(connection, SPEC, None),
            fresh=not has_rows(connection, SPEC, None),
            # An enrichment is known from when we asked, even in a first load.
            origins={},
        )
    ]


def _record(person: Sequence[Any], answer: Any, clock: Clock) -> dict[str, Any]:
    email, location_id, contact_id = person[:3]
    found = answer if isinstance(answer, dict) else {}
    organization = found.get("organization")
    return {
        "email": email,
        "locationId": location_id,
        "contactId": contact_id,
        "apolloId": found.get("id"),
        "title": found.get("title"),
        "organizationName": (organization.get("name") if isinstance(organization, dict) else None),
        "city": found.get("city"),
        "state": found.get("state"),
        "country": found.get("country"),
        "matched": bool(found.get("id")),
        "fetchedAt": clock.now(),
    }
