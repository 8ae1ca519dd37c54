"""Whose word counts: random histories of consent, read by SQL at plan and at send, and by a person.

People have several records, share numbers, agree and withdraw in any order, at the same second, and
by clocks that run ahead.
"""

import os
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from psycopg.rows import dict_row

from activation.audience import load_audience
from activation.candidates import read_candidates
from activation.queries import load_sql
from activation.rulebook import current_rules
from activation.types import Channel
from tests.activation.marts import NOON_EAST, Lead, add_leads, add_record, phone
from warehouse.database import Database

PEOPLE = 20_000 if os.environ.get("LEADENGINE_NIGHTLY") == "1" else 250
AGES = [timedelta(0), timedelta(hours=-1), timedelta(hours=1), timedelta(days=3), timedelta(days=9)]


@dataclass
class Said:
    """One word of one record."""

    record: str
    channel: str
    action: str
    purpose: str
    at: datetime


@dataclass
class Person:
    """A lead with its records; the first is the one that is written to."""

    number: int
    records: list[str]
    phone: str
    said: list[Said] = field(default_factory=list)

    @property
    def lead_id(self) -> str:
        return f"loc1:{self.records[0]}"


def people(rng: random.Random) -> list[Person]:
    found = []
    for number in range(PEOPLE):
        records = [f"p{number}r{n}" for n in range(rng.choice([1, 1, 2, 3]))]
        # One in five shares the number of somebody before.
        shared = number if number < 5 or rng.random() > 0.2 else rng.randrange(number)
        person = Person(
            number, records, found[shared].phone if shared < number else number_of(number)
        )
        person.said = [
            Said(
                rng.choice(records),
                rng.choice(["sms", "sms", "email", "call"]),
                rng.choice(["granted", "granted", "revoked"]),
                rng.choice(["marketing"] * 5 + ["transactional"]),
                NOON_EAST - rng.choice(AGES),
            )
            for _ in range(rng.randrange(5))
        ]
        found.append(person)
    return found


def number_of(number: int) -> str:
    return (
        f"+1{212 + number // 10_000}555{number % 10_000:04d}" if number >= 10_000 else phone(number)
    )


def counting(person: Person, channel: str) -> list[Said]:
    """A yes counts for the record that is written to and once it was said; a no always."""
    return [
        said
        for said in person.said
        if said.channel == channel
        and said.purpose == "marketing"
        and (
            said.action == "revoked" or (said.record == person.records[0] and said.at <= NOON_EAST)
        )
    ]


def newest(words: list[Said]) -> str | None:
    """The last word; said in the same second, the no."""
    if not words:
        return None
    last = max(said.at for said in words)
    return "revoked" if any(s.at == last and s.action == "revoked" for s in words) else "granted"


def store(database: Database, everybody: list[Person]) -> None:
    add_leads(
        database,
        [
            Lead(person.records[0], phone=person.phone, sms=None, email_consent=None)
            for person in everybody
        ],
    )
    with database.connect() as connection, connection.cursor() as cursor:
        for person in everybody:
            for record in person.records[1:]:
                add_record(connection, person.lead_id, record)
        cursor.executemany(
            "insert into ops.consent_logs (location_id, lead_id, contact_id, channel, purpose,"
            " action, source, method, occurred_at, known_at, evidence_key, recorded_by)"
            " values ('loc1', %s, %s, %s, %s, %s, 'form', 'checkbox', %s, %s, %s, 'test')",
            [
                (
                    f"loc1:{said.record}", said.record, said.channel, said.purpose, said.action,
                    said.at, NOON_EAST, str(uuid4()),
                )
                for person in everybody
                for said in person.said
            ],
        )  # fmt: skip
        connection.execute("analyze")


def test_the_last_word_is_the_same_for_sql_and_for_a_person(mart_db: Database) -> None:
    everybody = people(random.Random(5))  # noqa: S311 - cases to test with, no secret
    store(mart_db, everybody)
    expected = {}
    for person in everybody:
        there = [other for other in everybody if other.phone == person.phone]
        # Whoever shares the number speaks for it.
        of_number = newest([said for other in there for said in counting(other, "sms")])
        expected[person.lead_id] = (
            newest(counting(person, "sms")), newest(counting(person, "email")),
            of_number == "revoked",
        )  # fmt: skip
    assert {"granted", "revoked", None} <= {word for word, _, _ in expected.values()}
    with mart_db.connect() as connection:
        found = {
            candidate.lead_id: (
                *(
                    state.consent.action if state.consent else None
                    for state in (
                        candidate.channels[Channel.SMS],
                        candidate.channels[Channel.EMAIL],
                    )
                ),
                candidate.channels[Channel.SMS].address_opted_out,
            )
            for candidate, _ in read_candidates(
                connection,
                load_audience("hottest"),
                sequence="hot_follow_up",
                step=1,
                as_of=NOON_EAST,
                rules=current_rules(),
            )
        }
    assert found == expected
    assert at_sending(mart_db, everybody) == {
        lead: (sms, number) for lead, (sms, _, number) in expected.items()
    }


def at_sending(database: Database, everybody: list[Person]) -> dict[str, tuple[str | None, bool]]:
    """What the check at the moment of sending reads of each person's texts."""
    batch = uuid4()
    ids = {uuid4(): person for person in everybody}
    with database.connect(row_factory=dict_row) as connection, connection.cursor() as cursor:
        cursor.execute(
            "insert into ops.batches (batch_id, audience, sequence, channels, requested_size,"
            " holdout_share, seed, status, dry_run, as_of, digest, summary, planned_by, planned_at)"
            " values (%s, 'a', 's', '{sms}', 1, 0, 0, 'dispatching', false, now(), 'd', '{}', 'x',"
            " now())",
            (batch,),
        )
        cursor.executemany(
            "insert into ops.sends (send_id, batch_id, lead_id, location_id, contact_id, channel,"
            " to_address, from_address, body, body_digest, template_id, template_version,"
            " sequence, step, idempotency_key, status, not_before, created_at)"
            " values (%s, %s, %s, 'loc1', %s, 'sms', %s, 'x', 'body', 'd', 't', '1', 's', 1, %s,"
            " 'claimed', now(), now())",
            [
                (send, batch, person.lead_id, person.records[0], person.phone, str(send))
                for send, person in ids.items()
            ],
        )
        cursor.execute(
            load_sql("recheck"),
            {"send_ids": list(ids), "now": NOON_EAST, "cap_window": timedelta(days=7)},
        )
        return {
            ids[row["send_id"]].lead_id: (
                row["consent"]["action"] if row["consent"] else None,
                row["address_action"] == "revoked",
            )
            for row in cursor
        }
