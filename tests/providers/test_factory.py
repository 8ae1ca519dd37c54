"""The settings decide which clients there are, and what is missing is named."""

from pathlib import Path

import pytest

from leadengine.errors import SettingsError
from leadengine.settings import load_settings
from providers.factory import build_clients
from providers.limits import (
    DEFAULT_LIMITS,
    LocalRateLimiter,
    RateLimit,
    limits_of,
    location_limits,
)
from tests.providers import clients
from tests.providers.server import Answer, Server


def test_missing_credentials_are_named_when_they_are_needed() -> None:
    made = build_clients(load_settings(_env_file=None), LocalRateLimiter())
    with pytest.raises(SettingsError, match="GHL_TOKEN"):
        _ = made.ghl
    with pytest.raises(SettingsError, match="TWILIO_ACCOUNT_SID"):
        _ = made.twilio
    with pytest.raises(SettingsError, match="SENDGRID_API_KEY"):
        _ = made.sendgrid
    assert made.apollo is None
    assert made.claude is None


def test_a_missing_token_is_named_even_if_the_account_is_there() -> None:
    settings = load_settings(_env_file=None, twilio_account_sid=clients.ACCOUNT)
    with pytest.raises(SettingsError, match="TWILIO_AUTH_TOKEN"):
        _ = build_clients(settings, LocalRateLimiter()).twilio


def test_all_clients_speak_to_the_configured_addresses(server: Server) -> None:
    settings = load_settings(
        _env_file=None,
        ghl_base_url=f"{server.url}/ghl",
        ghl_token=clients.SECRET,
        ghl_location_id=clients.LOCATION,
        twilio_base_url=f"{server.url}/twilio",
        twilio_account_sid=clients.ACCOUNT,
        twilio_auth_token=clients.SECRET,
        sendgrid_base_url=f"{server.url}/sendgrid",
        sendgrid_api_key=clients.SECRET,
        apollo_base_url=f"{server.url}/apollo",
        apollo_api_key=clients.SECRET,
        anthropic_base_url=f"{server.url}/anthropic",
        anthropic_api_key=clients.SECRET,
    )
    answers = {
        "ghl": {"location": {"id": clients.LOCATION}},
        "twilio": {"messages": []},
        "sendgrid": [],
        "apollo": {"healthy": True, "is_logged_in": True},
        "anthropic": {"input_tokens": 8},
    }
    server.default = lambda request: Answer(200, answers[request.path.split("/")[1]])
    with build_clients(settings, LocalRateLimiter()) as made:
        made.ghl[clients.LOCATION].ping()
        made.twilio.ping()
        made.sendgrid.ping()
        assert made.apollo is not None
        made.apollo.ping()
        assert made.claude is not None
        made.claude.ping()
        assert made.twilio is made.twilio
    assert [request.path for request in server.received] == [
        f"/ghl/locations/{clients.LOCATION}",
        f"/twilio/2010-04-01/Accounts/{clients.ACCOUNT}/Messages.json",
        "/sendgrid/v3/suppression/bounces",
        "/apollo/auth/health",
        "/anthropic/v1/messages/count_tokens",
    ]
    with pytest.raises(RuntimeError):
        made.ghl[clients.LOCATION].ping()


def test_limits_are_settings_and_a_location_may_have_its_own(tmp_path: Path) -> None:
    places = tmp_path / "locations.yaml"
    places.write_text(
        "- {id: one, token_variable: TOKEN_OF_TESTS}\n"
        "- {id: two, token_variable: TOKEN_OF_TESTS, rate_limit: 40/10, daily_limit: 1000}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKEN_OF_TESTS", clients.SECRET)
        patch.setenv("TWILIO_RATE_LIMIT", "500/10")
        patch.setenv("GHL_RATE_LIMIT", "200 / 20")
        settings = load_settings(_env_file=None, ghl_locations=places)
        one, two = settings.locations()
    limits = limits_of(settings)
    assert limits.twilio == RateLimit(500, 10.0)
    assert limits.sendgrid_send == DEFAULT_LIMITS.sendgrid_send
    assert location_limits(one, limits) == (RateLimit(200, 20.0), RateLimit(200_000, 86_400.0))
    assert location_limits(two, limits) == (RateLimit(40, 10.0), RateLimit(1_000, 86_400.0))


def test_without_settings_the_limits_are_those_that_providers_state() -> None:
    assert limits_of(load_settings(_env_file=None)) == DEFAULT_LIMITS


@pytest.mark.parametrize("wrong", ["fast", "100", "0/10", "100/0", "100001/10", "1/86401", "-1/10"])
def test_a_rate_that_does_not_fit_is_named(wrong: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWILIO_RATE_LIMIT", wrong)
        with pytest.raises(SettingsError, match=r"TWILIO_RATE_LIMIT does not fit: .*rate"):
            load_settings(_env_file=None)


@pytest.mark.parametrize("wrong", ["often", "[0, 10]", "[10000000, 1]", "{requests: 0}"])
def test_a_location_s_rate_that_does_not_fit_is_named_with_the_entry(
    tmp_path: Path, wrong: str
) -> None:
    places = tmp_path / "locations.yaml"
    places.write_text(f"- {{id: one, token_variable: TOKEN_OF_TESTS, rate_limit: {wrong}}}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKEN_OF_TESTS", clients.SECRET)
        with pytest.raises(SettingsError, match=r"(?s)entry 1 .*rate_limit"):
            load_settings(_env_file=None, ghl_locations=places).locations()
