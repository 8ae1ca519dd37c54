"""The consent log, and the links with which people leave."""

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from psycopg.rows import dict_row
from pydantic import SecretStr

from activation.consent import consent_hash, newest_action, sync_consent
from activation.unsubscribe import TokenError, make_token, read_token, secret_key
from leadengine.clock import FixedClock
from leadengine.settings import Settings, load_settings
from tests.activation.marts import NOON_EAST, rows
from warehouse.database import Database

CLOCK = FixedClock(NOON_EAST)


def add_event(database: Database, key: str, action: str, days_ago: int, **other: object) -> None:
    event = {
        "evidence_key": key, "lead_id": "loc:c1", "location_id": "loc", "contact_id": "c1",
        "channel": "sms", "purpose": "marketing", "action": action,
        "occurred_at": NOON_EAST - timedelta(days=days_ago), "known_at": NOON_EAST,
        "source": "form", "method": "crm_field", "consent_text": "I agree", **other,
    }  # fmt: skip
    with database.connect() as connection:
        connection.execute(
            f"insert into marts.fct_consent_events ({', '.join(event)})"
            f" values ({', '.join(['%s'] * len(event))})".encode(),
            list(event.values()),
        )


def test_each_event_is_copied_once_and_stays(mart_db: Database) -> None:
    add_event(mart_db, "a", "granted", 30)
    add_event(mart_db, "b", "revoked", 10, source=None, method=None, contact_id=None)
    assert (sync_consent(mart_db, CLOCK).added, sync_consent(mart_db, CLOCK).added) == (2, 0)
    with mart_db.connect() as connection:
        connection.execute("delete from marts.fct_consent_events where evidence_key = 'a'")
    add_event(mart_db, "c", "granted", 1)
    report = sync_consent(mart_db, CLOCK)
    assert (report.added, report.seen) == (1, 2)
    assert rows(
        mart_db,
        "select evidence_key, action, source, contact_id, consent_text from ops.consent_logs"
        " order by consent_log_id",
    ) == [
        ("a", "granted", "form", "c1", "I agree"),
        ("b", "revoked", "unknown", "c1", "I agree"),
        ("c", "granted", "form", "c1", "I agree"),
    ]
    with mart_db.connect() as connection:
        assert newest_action(connection, "loc:c1", "sms") == "granted"
        assert newest_action(connection, "loc:c1", "email") is None
    assert rows(mart_db, "select count(*) from ops.audit_trail") == [(2,)]


def test_a_token_names_its_lead_and_nothing_else_passes() -> None:
    key = b"k" * 32
    token = make_token(key, "loc", "loc:c1")
    assert read_token(key, token) == ("loc", "loc:c1")
    assert token.replace("-", "").replace("_", "").replace(".", "").isalnum()
    other = make_token(key, "loc", "loc:c2")
    forged = [
        "", "x", ".", token[:-1], token + "A", token.split(".")[0], other.split(".")[0] + "."
        + token.split(".")[1], make_token(b"z" * 32, "loc", "loc:c1"), "é.é",
    ]  # fmt: skip
    for attempt in forged:
        with pytest.raises(TokenError):
            read_token(key, attempt)


def home_settings(folder: Path) -> Settings:
    return load_settings(_env_file=None, leadengine_home=folder)


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    settings = home_settings(tmp_path / "home")
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(secret_key, [settings] * 16))
    assert len(keys) == 1
    path = tmp_path / "home" / "secret.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret.key"]
    assert secret_key(home_settings(tmp_path / "other")) not in keys


def test_a_key_from_the_environment_comes_first(tmp_path: Path) -> None:
    settings = home_settings(tmp_path / "home")
    given = settings.model_copy(update={"secret_key": SecretStr("one")})
    assert secret_key(given) != secret_key(settings)
    assert secret_key(given) == secret_key(
        home_settings(tmp_path / "b").model_copy(update={"secret_key": SecretStr("one")})
    )


@pytest.mark.parametrize("microsecond", [0, 228_000, 228_001])
def test_a_consent_row_hashes_alike_from_the_driver_and_from_json(
    db: Database, microsecond: int
) -> None:
    given = datetime(2026, 4, 15, 22, 43, 36, microsecond, tzinfo=UTC)
    with db.connect(row_factory=dict_row) as connection:
        row = connection.execute(
            "insert into ops.consent_logs (location_id, lead_id, contact_id, channel, purpose,"
            " action, source, method, occurred_at, known_at, evidence_key, recorded_by)"
            " values ('L', 'L:a', 'a', 'sms', 'marketing', 'granted', 'form', 'crm_field',"
            " %(given)s, %(given)s, 'key', 'test')"
            " returning *, to_jsonb(consent_logs.*) as as_json",
            {"given": given},
        ).fetchone()
    assert row is not None
    assert consent_hash(row) == consent_hash(row["as_json"])
