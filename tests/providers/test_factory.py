"""The settings decide which clients there are, and what is missing is named."""

import pytest

from leadengine.errors import SettingsError
from leadengine.settings import load_settings
from providers.factory import build_clients
from providers.limits import LocalRateLimiter
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
