"""Apollo and Anthropic, whose contracts are not published as OpenAPI here; the SDK judges."""

from __future__ import annotations

import anthropic
import httpx
import pytest

from tests.providers.sandbox.conftest import World


def test_apollo_matches_most_people_always_the_same(world: World) -> None:
    emails = [f"someone{n}@example.com" for n in range(30)]
    people = [
        world.apollo.post("/people/match", json={"email": e}).json()["person"] for e in emails
    ]
    assert 10 < sum(p is not None for p in people) < 30
    known = next(p for p in people if p)
    assert known["organization"]["name"]
    details = [{"email": e} for e in emails[:10]]
    bulk = world.apollo.post("/api/v1/people/bulk_match", json={"details": details}).json()
    assert bulk["matches"] == people[:10]
    assert bulk["unique_enriched_records"] + bulk["missing_records"] == 10


def test_apollo_refusals(world: World) -> None:
    details = [{"email": "a@example.com"}] * 11
    assert world.apollo.post("/people/bulk_match", json={"details": details}).status_code == 422
    url = f"{world.process.url}/apollo/people/match"
    assert httpx.post(url, json={}, headers={"x-api-key": "wrong"}).status_code == 401
    assert world.apollo.post("/people/match", json={}).json() == {"person": None}


@pytest.fixture
def claude(world: World) -> anthropic.Anthropic:
    key = world.process.credentials["anthropic"]["api_key"]
    return anthropic.Anthropic(
        api_key=key, base_url=f"{world.process.url}/anthropic", max_retries=0
    )


def test_anthropic_answers_and_counts(claude: anthropic.Anthropic) -> None:
    asked = [{"role": "user", "content": "Draft a text to a lead"}]
    first = claude.messages.create(model="claude-test", max_tokens=200, messages=asked)
    again = claude.messages.create(model="claude-test", max_tokens=200, messages=asked)
    assert first.content[0].text == again.content[0].text != ""
    assert first.stop_reason == "end_turn"
    assert first.usage.input_tokens > 0 < first.usage.output_tokens
    short = claude.messages.create(model="claude-test", max_tokens=3, messages=asked)
    assert short.stop_reason == "max_tokens"
    with claude.messages.stream(model="claude-test", max_tokens=200, messages=asked) as stream:
        assert stream.get_final_text() == first.content[0].text


def test_anthropic_fills_a_tools_schema(claude: anthropic.Anthropic) -> None:
    schema = {
        "type": "object",
        "properties": {
            "intent": {"type": "string", "enum": ["buy", "sell"]},
            "urgent": {"type": "boolean"},
            "notes": {"type": "array", "items": {"type": "string"}},
        },
    }
    answer = claude.messages.create(
        model="claude-test",
        max_tokens=200,
        messages=[{"role": "user", "content": "Classify: yes, call me"}],
        tools=[{"name": "record", "input_schema": schema}],
        tool_choice={"type": "tool", "name": "record"},
    )
    made = answer.content[0].input
    assert made["intent"] in ("buy", "sell")
    assert made["urgent"] is False
    assert isinstance(made["notes"][0], str)


def test_anthropic_refusals(claude: anthropic.Anthropic, world: World) -> None:
    asked = [{"role": "user", "content": "Hi"}]
    with pytest.raises(anthropic.AuthenticationError):
        claude.with_options(api_key="wrong").messages.create(  # pragma: allowlist secret
            model="m", max_tokens=5, messages=asked
        )
    answer = world.anthropic.post("/v1/messages", json={"model": "m", "messages": asked})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
