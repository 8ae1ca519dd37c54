"""Health and metrics."""

from fastapi.testclient import TestClient

from leadengine.settings import Settings
from service.app import create_app
from warehouse.database import Database


def test_live_and_ready(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}


def test_not_ready_when_the_database_is_at_another_revision(
    client: TestClient, db: Database
) -> None:
    with db.connect() as connection:
        connection.execute("update ops.alembic_version set version_num = '0000'")
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert "0000" in answer.json()["reason"]


def test_not_ready_when_the_database_is_gone(settings: Settings, db: Database) -> None:
    with TestClient(create_app(settings, db)) as client:
        client.app.state.database = db.named("not_there")  # type: ignore[attr-defined]
        answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert "not_there" in answer.json()["reason"]


def test_status_counts(client: TestClient, db: Database) -> None:
    with db.connect() as connection:
        connection.execute(
            "insert into ops.quarantine (source, entity, reason, payload, payload_digest)"
            " values ('ghl', 'contacts', 'r', '{}', 'd')"
        )
    status = client.get("/health/status").json()
    assert status["quarantined"] == 1
    assert status["last_load"] is None


def test_metrics_hold_routes_and_never_paths(client: TestClient) -> None:
    client.get("/health/live")
    client.get("/unsubscribe/some-personal-token")
    assert client.post("/api/leads/some-lead/score").status_code == 503
    client.get("/nowhere")
    text = client.get("/metrics").text
    assert 'method="GET",route="/health/live",status="200"' in text
    assert 'method="POST",route="/api/leads/{lead_id}/score",status="503"' in text
    assert 'method="GET",route="unmatched",status="404"' in text
    assert "some-lead" not in text
    assert "some-personal-token" not in text
    assert 'leadengine_sends{status="unsettled"} 0.0' in text
