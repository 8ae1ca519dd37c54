"""The marts that activation reads, made small and by hand, so that each test says what it needs."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from warehouse.database import Database

_TODAY = datetime.now(UTC).replace(hour=18, minute=0, second=0, microsecond=0)
NOON_EAST = _TODAY if datetime.now(UTC) >= _TODAY else _TODAY - timedelta(days=1)
"""The last moment past at which it was 18:00 UTC: texts are allowed from Honolulu to New York."""

_SCHEMA = """
create table marts.dim_leads (
    lead_id text primary key, location_id text, contact_id text, origin text, first_name text,
    last_name text, email text, phone text, is_email_valid boolean, is_phone_valid boolean,
    source text, status text, is_open boolean, assigned_agent_id text, assigned_agent_name text,
    timezone text, state text, postal_code text, city text,
    is_dnd_all boolean, is_dnd_sms boolean, is_dnd_email boolean, is_dnd_call boolean,
    lead_intent text, price_min_cents bigint, price_max_cents bigint, beds integer, timeline text,
    property_type text, created_at timestamptz, last_inbound_at timestamptz,
    last_outbound_at timestamptz, known_at timestamptz, closed_at timestamptz
);
create table intermediate.int_lead_identities (
    location_id text, record_type text, record_id text, record_lead_id text, lead_id text
);
create table other_addresses (location_id text, lead_id text, channel text, address text);
create view intermediate.int_lead_addresses as
select location_id, lead_id, 'sms' as channel, phone as address
from marts.dim_leads where phone is not null
union all
select location_id, lead_id, 'email' as channel, email as address
from marts.dim_leads where email is not null
union all
select * from other_addresses;
create table marts.lead_priorities (
    lead_id text primary key, location_id text, contact_id text, score double precision,
    tier text, rank integer, reasons jsonb, assigned_agent_id text, model_version text,
    as_of timestamptz
);
create table marts.fct_consent_events (
    evidence_key text primary key, lead_id text, location_id text, contact_id text, channel text,
    purpose text, action text, occurred_at timestamptz, known_at timestamptz, source text,
    method text, consent_text text
);
create table marts.fct_communications (
    event_id text primary key, lead_id text, location_id text, channel text, direction text,
    actor text, occurred_at timestamptz, known_at timestamptz
);
create table marts.fct_appointments (
    appointment_id text primary key, lead_id text, location_id text, status text,
    booked_at timestamptz, starts_at timestamptz, known_at timestamptz
);
create table marts.fct_opportunities (
    opportunity_id text primary key, lead_id text, location_id text, status text,
    value_cents bigint, closed_at timestamptz, known_at timestamptz
);
create table marts.fct_email_events (
    event_id text primary key, lead_id text, location_id text, event_type text,
    occurred_at timestamptz, known_at timestamptz
);
"""


@dataclass
class Lead:
    """A lead with consent to both channels and nothing against it, unless told otherwise."""

    contact_id: str
    location_id: str = "loc1"
    first_name: str | None = "Ann"
    email: str | None = "default"
    phone: str | None = None
    score: float = 0.9
    tier: str = "hot"
    sms: str | None = "granted"
    email_consent: str | None = "granted"
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def lead_id(self) -> str:
        return f"{self.location_id}:{self.contact_id}"


def create_marts(database: Database) -> None:
    """Makes the empty tables."""
    with database.connect() as connection:
        connection.execute(_SCHEMA.encode())


def phone(number: int, area: str = "212") -> str:
    """A number of the range kept for fiction, valid and in New York unless told otherwise."""
    return f"+1{area}555{number:04d}"


def add_leads(database: Database, leads: list[Lead], now: datetime = NOON_EAST) -> None:
    """Stores leads, their scores and their consent."""
    # The sandbox is shared: an agent's name of each test's own keeps the texts apart.
    number = "".join(letter for letter in database.dbname if letter.isdigit())
    agent = "Kim" + "".join("abcdefghij"[int(digit)] for digit in number)
    with database.connect() as connection:
        for rank, lead in enumerate(leads, 1):
            lead.fields.setdefault("assigned_agent_name", agent)
            _add(connection, lead, rank, now)


def _add(connection: psycopg.Connection, lead: Lead, rank: int, now: datetime) -> None:
    email = f"{lead.contact_id.lower()}@example.com" if lead.email == "default" else lead.email
    row = {
        "lead_id": lead.lead_id,
        "location_id": lead.location_id,
        "contact_id": lead.contact_id,
        "origin": "ghl",
        "first_name": lead.first_name,
        "email": email,
        "phone": lead.phone,
        "is_email_valid": email is not None,
        "is_phone_valid": lead.phone is not None,
        "source": "website",
        "status": "open",
        "is_open": True,
        "timezone": "America/New_York",
        "city": "Tampa",
        "is_dnd_all": False,
        "is_dnd_sms": False,
        "is_dnd_email": False,
        "is_dnd_call": False,
        "lead_intent": "buy",
        "created_at": now - timedelta(days=200),
        "known_at": now - timedelta(days=200),
        **lead.fields,
    }
    columns = ", ".join(row)
    marks = ", ".join(["%s"] * len(row))
    connection.execute(
        f"insert into marts.dim_leads ({columns}) values ({marks})".encode(), list(row.values())
    )
    add_record(connection, lead.lead_id, lead.contact_id)
    reasons = [{"feature": "x", "value": 1, "contribution": 0.1, "sentence": "Asked twice"}]
    connection.execute(
        "insert into marts.lead_priorities values (%s, %s, %s, %s, %s, %s, %s, null, '7', %s)",
        (
            lead.lead_id, lead.location_id, lead.contact_id, lead.score, lead.tier, rank,
            Jsonb(reasons), now,
        ),
    )  # fmt: skip
    connection.execute(
        "insert into ml.lead_scores values (%s, %s, %s, %s, %s, %s, %s, 'lead_conversion', '7',"
        " 'digest', %s, %s)",
        (
            lead.lead_id, lead.location_id, now - timedelta(hours=1), lead.score, lead.tier, rank,
            Jsonb(reasons), Jsonb({"touches_30d": 3}), now,
        ),
    )  # fmt: skip
    for channel, action in (("sms", lead.sms), ("email", lead.email_consent)):
        if action is not None:
            add_consent(connection, lead.lead_id, channel, action, now - timedelta(days=90))


def add_record(
    connection: psycopg.Connection, lead_id: str, contact_id: str, *, phone: str | None = None
) -> None:
    """Makes a contact one of the lead's records, with its number if it has another one."""
    location_id = lead_id.split(":", 1)[0]
    connection.execute(
        "insert into intermediate.int_lead_identities values (%s, 'contact', %s, %s, %s)",
        (location_id, contact_id, f"{location_id}:{contact_id}", lead_id),
    )
    if phone is not None:
        connection.execute(
            "insert into other_addresses values (%s, %s, 'sms', %s)",
            (location_id, lead_id, phone),
        )


def add_consent(
    connection: psycopg.Connection, lead_id: str, channel: str, action: str, at: datetime
) -> None:
    """Appends a word to the consent log."""
    location_id, contact_id = lead_id.split(":", 1)
    connection.execute(
        "insert into ops.consent_logs (location_id, lead_id, contact_id, channel, purpose, action,"
        " source, method, consent_text, occurred_at, known_at, evidence_key, recorded_by)"
        " values (%s, %s, %s, %s, 'marketing', %s, 'form', 'checkbox', 'I agree', %s, %s, %s,"
        " 'test')",
        (
            location_id, lead_id, contact_id, channel, action, at, at,
            f"{lead_id}:{channel}:{action}:{at.isoformat()}",
        ),
    )  # fmt: skip


def rows(database: Database, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with database.connect() as connection:
        return connection.execute(query.encode(), parameters).fetchall()
