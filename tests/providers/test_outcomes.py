"""What each failure of a provider means for the caller: may it be tried again?"""

import logging
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from leadengine.errors import LeadEngineError
from providers.core import RetryPolicy
from providers.errors import NotSent, ProviderError, Rejected, Unknown
from tests.providers import clients
from tests.providers.server import Answer, Server

SMS_ACCEPTED = Answer(201, {"sid": "SM1", "status": "queued"})
EMAIL_ACCEPTED = Answer(202, raw=b"", headers={"X-Message-Id": "msg-1"})
LOCATION = Answer(200, {"location": {"id": clients.LOCATION, "name": "Harbor"}})


def send_sms(url: str, policy: RetryPolicy = clients.QUICK) -> Any:
    return clients.twilio(url, policy).send_sms(clients.PHONE, clients.SENDER, clients.BODY)


def send_email(url: str, policy: RetryPolicy = clients.QUICK) -> Any:
    return clients.sendgrid(url, policy).send_email(clients.EMAIL)


def add_note(url: str, policy: RetryPolicy = clients.QUICK) -> Any:
    return clients.ghl(url, policy).add_note("contact1", clients.BODY)


def get_location(url: str, policy: RetryPolicy = clients.QUICK) -> Any:
    return clients.ghl(url, policy).get_location()


def update_contact(url: str, policy: RetryPolicy = clients.QUICK) -> Any:
    return clients.ghl(url, policy).update_contact("contact1", {"field1": 3})


Call = Callable[..., Any]
WRITES = [
    pytest.param(send_sms, SMS_ACCEPTED, id="sms"),
    pytest.param(send_email, EMAIL_ACCEPTED, id="email"),
    pytest.param(add_note, Answer(201, {"note": {"id": "note1"}}), id="note"),
]


@pytest.mark.parametrize(("call", "accepted"), WRITES)
def test_a_429_is_waited_out_as_the_provider_asks(
    server: Server, call: Call, accepted: Answer
) -> None:
    server.script.append(Answer(429, {"message": "slow down"}, {"Retry-After": "1"}))
    server.default = accepted
    call(server.url)
    first, second = server.received
    assert second.at - first.at >= 1.0
    assert len(server.effects) == 1


@pytest.mark.parametrize(("call", "accepted"), WRITES)
def test_a_dropped_answer_of_a_write_is_unknown_and_never_repeated(
    server: Server, call: Call, accepted: Answer
) -> None:
    server.script.append(Answer(drop=True))
    server.default = accepted
    with pytest.raises(Unknown) as caught:
        call(server.url)
    assert caught.value.reason == "connection_lost"
    assert len(server.received) == len(server.effects) == 1


@pytest.mark.parametrize(("call", "accepted"), WRITES)
@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_a_server_error_of_a_write_is_unknown_and_never_repeated(
    server: Server, call: Call, accepted: Answer, status: int
) -> None:
    server.script.append(Answer(status, {"message": "oops"}, {"Retry-After": "0"}))
    server.default = accepted
    with pytest.raises(Unknown) as caught:
        call(server.url)
    assert caught.value.status == status
    assert len(server.received) == 1


def test_a_slow_answer_of_a_write_is_unknown_and_never_repeated(server: Server) -> None:
    server.default = Answer(201, {"sid": "SM1", "status": "queued"}, delay=0.6)
    client = clients.twilio(server.url)
    clients.hurry(client, 0.2)
    with pytest.raises(Unknown) as caught:
        client.send_sms(clients.PHONE, clients.SENDER, clients.BODY)
    assert caught.value.reason == "timeout"
    assert len(server.received) == 1


@pytest.mark.parametrize(("call", "accepted"), WRITES)
def test_a_refused_connection_is_not_sent_after_some_attempts(call: Call, accepted: Answer) -> None:
    with pytest.raises(NotSent) as caught:
        call(f"http://127.0.0.1:{unused_port()}")
    assert caught.value.reason == "connect"
    assert caught.value.effect == "none"


@pytest.mark.parametrize(("call", "accepted"), WRITES)
@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 422])
def test_a_refusal_is_rejected_and_not_repeated(
    server: Server, call: Call, accepted: Answer, status: int
) -> None:
    server.default = Answer(status, {"message": "no"}, {"Location": "/elsewhere"})
    with pytest.raises(Rejected) as caught:
        call(server.url)
    assert caught.value.status == status
    assert len(server.received) == 1


def test_a_write_whose_success_cannot_be_read_is_unknown(server: Server) -> None:
    server.default = Answer(201, raw=b'{"sid": "SM')
    with pytest.raises(Unknown):
        send_sms(server.url)
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Answer(503, {}, {"Retry-After": "0"}),
        Answer(500),
        Answer(drop=True),
        Answer(200, raw=b"<html>"),
    ],
)
def test_a_read_is_repeated_whatever_happened(server: Server, fault: Answer) -> None:
    server.script.extend([fault, fault])
    server.default = LOCATION
    assert get_location(server.url)["name"] == "Harbor"
    assert len(server.received) == 3


def test_a_read_that_never_succeeds_is_not_sent_since_nothing_could_happen(server: Server) -> None:
    server.default = Answer(500)
    with pytest.raises(NotSent) as caught:
        get_location(server.url)
    assert caught.value.status == 500
    assert len(server.received) == clients.QUICK.attempts


def test_a_write_that_sets_a_state_is_repeated_after_a_lost_answer(server: Server) -> None:
    server.script.append(Answer(drop=True))
    server.default = Answer(200, {"succeded": True})
    update_contact(server.url)
    assert len(server.received) == 2


def test_a_doubtful_attempt_stays_doubtful_when_a_later_one_is_refused(server: Server) -> None:
    server.script.append(Answer(drop=True))
    server.default = Answer(400, {"message": "no"})
    with pytest.raises(Unknown):
        update_contact(server.url)


def test_a_wait_longer_than_the_policy_allows_is_left_to_the_caller(server: Server) -> None:
    server.default = Answer(429, {}, {"Retry-After": "3600"})
    with pytest.raises(NotSent) as caught:
        send_sms(server.url)
    assert caught.value.retry_after == 3600
    assert len(server.received) == 1


def test_a_spent_day_is_not_waited_for(server: Server) -> None:
    server.default = Answer(
        429,
        {},
        {"X-RateLimit-Daily-Remaining": "0", "X-RateLimit-Interval-Milliseconds": "10000"},
    )
    with pytest.raises(NotSent) as caught:
        get_location(server.url)
    assert caught.value.reason == "daily_limit"
    assert len(server.received) == 1


def test_an_upsert_answered_422_may_have_created_the_contact(server: Server) -> None:
    server.default = Answer(
        422, {"message": "invalid country", "meta": {"contactId": "Abc123", "contactName": "Ada"}}
    )
    with pytest.raises(Unknown) as caught:
        clients.ghl(server.url).upsert_contact(email=clients.EMAIL_ADDRESS)
    assert (caught.value.status, caught.value.reference) == (422, "Abc123")
    assert len(server.received) == 1


def test_twilios_code_tells_why(server: Server) -> None:
    server.default = Answer(
        400, {"code": 21610, "message": f"The message From/To pair {clients.PHONE} is blacklisted"}
    )
    with pytest.raises(Rejected) as caught:
        send_sms(server.url)
    assert caught.value.code == "21610"


def test_sendgrids_field_tells_what_is_wrong(server: Server) -> None:
    field = "personalizations.0.to.0.email"
    server.default = Answer(400, {"errors": [{"message": "bad", "field": field, "help": None}]})
    with pytest.raises(Rejected) as caught:
        send_email(server.url)
    assert caught.value.code == field


def test_the_breaker_opens_after_outages_refuses_at_once_and_recovers(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = clients.ghl(server.url, RetryPolicy(attempts=1))
    server.default = Answer(500)
    for _ in range(5):
        with pytest.raises(NotSent):
            client.get_location()
    server.default = LOCATION
    started = time.monotonic()
    with pytest.raises(NotSent) as caught:
        client.get_location()
    assert caught.value.reason == "breaker_open"
    assert 0 < (caught.value.retry_after or 0) <= 30
    assert time.monotonic() - started < 1.0
    assert len(server.received) == 5

    later = time.time() + 31
    monkeypatch.setattr("purgatory.domain.model.time.time", lambda: later)
    assert client.get_location()["name"] == "Harbor"
    assert client.get_location()["name"] == "Harbor"


def test_refusals_do_not_open_the_breaker(server: Server) -> None:
    client = clients.ghl(server.url, RetryPolicy(attempts=1))
    server.default = Answer(404)
    for _ in range(8):
        with pytest.raises(Rejected):
            client.get_contact("gone")
    server.default = LOCATION
    assert client.get_location()


PINGS = [
    pytest.param(clients.ghl, "GHL_TOKEN", "GHL_BASE_URL", id="ghl"),
    pytest.param(clients.twilio, "TWILIO_AUTH_TOKEN", "TWILIO_BASE_URL", id="twilio"),
    pytest.param(clients.sendgrid, "SENDGRID_API_KEY", "SENDGRID_BASE_URL", id="sendgrid"),
    pytest.param(clients.apollo, "APOLLO_API_KEY", "APOLLO_BASE_URL", id="apollo"),
    pytest.param(clients.claude, "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", id="claude"),
]


@pytest.mark.parametrize(("build", "credential", "address"), PINGS)
def test_a_ping_names_the_setting_to_mend(
    server: Server, build: Call, credential: str, address: str
) -> None:
    server.default = Answer(401, {"message": "Invalid token"})
    with pytest.raises(LeadEngineError) as refused:
        build(server.url).ping()
    assert credential in str(refused.value)

    server.default = Answer(200, raw=b"<html>a web page</html>")
    with pytest.raises(LeadEngineError) as web_page:
        build(server.url).ping()
    assert address in str(web_page.value)

    with pytest.raises(LeadEngineError) as nobody:
        build(f"http://127.0.0.1:{unused_port()}").ping()
    assert address in str(nobody.value)
    assert len(server.received) == 2


@pytest.mark.parametrize(
    "fault",
    [
        Answer(400, {"code": 21211, "message": f"{clients.PHONE} {clients.EMAIL_ADDRESS} no"}),
        Answer(500, {"message": f"{clients.PHONE} {clients.EMAIL_ADDRESS}"}),
        Answer(drop=True),
    ],
)
def test_neither_errors_nor_logs_tell_secrets_or_personal_data(
    server: Server, fault: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    # Everything that any library logs, at its most talkative.
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(
            ("twilio", "python_http_client", "anthropic", "httpx", "httpcore", "urllib3")
        ):
            caplog.set_level(logging.DEBUG, logger=name)
    server.default = fault
    told: list[str] = []
    twilio = clients.twilio(server.url)
    calls: list[Callable[[], object]] = [
        lambda: twilio.send_sms(clients.PHONE, clients.SENDER, clients.BODY),
        lambda: list(twilio.iter_messages(to=clients.PHONE)),
        lambda: clients.sendgrid(server.url).send_email(clients.EMAIL),
        lambda: clients.sendgrid(server.url).search_activity(clients.EMAIL_ADDRESS),
        lambda: clients.ghl(server.url).upsert_contact(email=clients.EMAIL_ADDRESS),
        lambda: clients.apollo(server.url).match_person(email=clients.EMAIL_ADDRESS),
        lambda: clients.claude(server.url).create_message(
            [{"role": "user", "content": clients.BODY}], system=clients.PHONE
        ),
    ]
    for call in calls:
        with pytest.raises(ProviderError) as caught:
            call()
        chain: BaseException | None = caught.value
        while chain is not None:
            told += [str(chain), repr(chain)]
            chain = None if chain.__suppress_context__ else chain.__cause__ or chain.__context__
    told += [record.getMessage() for record in caplog.records]
    told += [str(record.exc_text or "") for record in caplog.records]
    everything = "\n".join(told)
    for private in (clients.SECRET, clients.PHONE[1:], "ada.lovelace", "Maple"):
        assert private not in everything


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
