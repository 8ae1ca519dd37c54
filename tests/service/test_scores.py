"""Who may ask for a score, and what is said when there is none."""

import threading

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from leadengine.settings import Settings
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


def test_who_waits_too_long_is_told_and_is_not_scored_later(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that does not answer holds every thread; only a stand-in can do so at will."""
    asked: list[str] = []
    free = threading.Event()

    def hold(lead_id: str) -> dict[str, str]:
        asked.append(lead_id)
        free.wait(30)
        return {}

    state = client.app.state  # type: ignore[attr-defined]
    monkeypatch.setattr(state.scorer, "score", hold)
    monkeypatch.setattr(scores, "PATIENCE_SECONDS", 0.2)
    answers = [client.post(f"/api/leads/loc:{n}/score") for n in range(4)]
    free.set()
    state.scoring_threads.submit(bool).result(30)
    assert {answer.status_code for answer in answers} == {503}
    assert asked == ["loc:0", "loc:1"]
