"""Who may ask for a score, and what is said when there is none."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from leadengine.settings import Settings
from ml import online
from ml.one_lead import Query
from ml.online import OnlineScorer
from service.app import create_app
from service.routes import scores
from warehouse.database import Database


def test_token_is_asked_for_when_one_is_set(settings: Settings, db: Database) -> None:
    guarded = settings.model_copy(update={"api_token": SecretStr("right")})
    with TestClient(create_app(guarded, db)) as client:
        assert client.post("/api/leads/x/score").status_code == 401
        wrong = {"Authorization": "Bearer wrong"}
        assert client.post("/api/leads/x/score", headers=wrong).status_code == 401
        right = {"Authorization": "Bearer right"}
        assert client.post("/api/leads/x/score", headers=right).status_code in {404, 503}


def test_without_a_token_only_this_machine_is_served(settings: Settings, db: Database) -> None:
    with TestClient(create_app(settings, db), client=("203.0.113.9", 1)) as client:
        assert client.post("/api/leads/x/score").status_code == 403


def test_before_the_first_run_the_answer_says_what_to_do(client: TestClient) -> None:
    answer = client.post("/api/leads/loc:nobody/score")
    assert answer.status_code in {404, 503}
    assert "remedy" in answer.json() or "detail" in answer.json()


def test_an_id_that_no_lead_can_have_is_unknown(client: TestClient) -> None:
    """PostgreSQL holds no NUL."""
    answer = client.post("/api/leads/loc:%00/score")
    assert answer.status_code == 404
    assert "no lead" in answer.json()["detail"]


def test_the_description_of_the_api_has_the_score(client: TestClient) -> None:
    told = client.get("/openapi.json").json()["paths"]["/api/leads/{lead_id}/score"]["post"]
    assert [(one["name"], one["in"]) for one in told["parameters"]] == [("lead_id", "path")]


def test_who_waits_too_long_is_told_while_others_are_served(
    settings: Settings, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that does not end holds up scores only, and ends with the patience."""

    monkeypatch.setattr(OnlineScorer, "champion", lambda _: None)
    monkeypatch.setattr(scores, "PATIENCE_SECONDS", 2.0)
    with TestClient(create_app(settings, db)) as client, ThreadPoolExecutor(4) as threads:
        monkeypatch.setattr(online, "features_query", lambda: Query("select pg_sleep(30)", ()))
        asked = [threads.submit(client.post, f"/api/leads/loc:{n}/score") for n in range(4)]
        assert client.get("/health/live").status_code == 200
        assert not any(request.done() for request in asked)
        assert {request.result(30).status_code for request in asked} == {503}
        with db.connect() as connection:
            left = connection.execute(
                "select count(*) from pg_stat_activity"
                " where state = 'active' and query like 'select pg_sleep(30)%'"
            ).fetchone()
        assert left == (0,)
