"""Who may ask for a score, and what is said when there is none."""

from fastapi.testclient import TestClient
from pydantic import SecretStr

from leadengine.settings import Settings
from service.app import create_app
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
