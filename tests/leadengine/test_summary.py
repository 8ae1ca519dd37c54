"""What a run ends with: by what the leads were scored."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from leadengine.cli.summary import print_summary
from leadengine.settings import Settings
from tests.activation.marts import Lead, add_leads, create_marts
from warehouse.database import Database

NOW = datetime(2026, 6, 1, 16, tzinfo=UTC)
REASON = "4 leads have converted, and a model needs 100."


@pytest.fixture
def scored(db: Database) -> Database:
    """A lead with a score of version 7, a batch that waits, and a version of the rules, r1."""
    create_marts(db)
    with db.connect() as connection:
        connection.execute(
            "alter table marts.lead_priorities add expected_value_cents double precision"
        )
    add_leads(db, [Lead("a")], NOW)
    with db.connect() as connection:
        connection.execute("update marts.lead_priorities set expected_value_cents = 90000")
        connection.execute(
            "insert into ops.batches (batch_id, audience, sequence, channels, requested_size,"
            " holdout_share, seed, status, dry_run, as_of, digest, summary, planned_by, planned_at)"
            " values (%s, 'all', 'quiet_leads', '{sms}', 1, 0.1, 1, 'planned', false, %s, '', '{}',"
            " 'test', %s)",
            (uuid4(), NOW, NOW),
        )
        connection.execute(
            "insert into ml.rules_models (version, made_at, reason, model)"
            " values ('r1', %s, %s, '{}')",
            (NOW, REASON),
        )
    return db


def told(database: Database, settings: Settings, capsys: pytest.CaptureFixture[str]) -> str:
    print_summary(database, settings, {"all": "0123456789"}, seconds=1)
    return " ".join(capsys.readouterr().out.split())


def test_scores_by_the_rules_are_said_to_be_so_and_why(
    scored: Database, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with scored.connect() as connection:
        connection.execute("update ml.lead_scores set model_version = 'r1'")
    assert (
        "Scores are by the rules of ml/rules_score.yml (r1), not yet by a model. " + REASON
    ) in told(scored, settings, capsys)


def test_scores_by_a_model_are_not(
    scored: Database, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    text = told(scored, settings, capsys)
    assert "1 in 1 locations" in text
    assert "rules" not in text
