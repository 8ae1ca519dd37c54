"""Hands one message to its provider and says what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

import psycopg

from activation.audit import audit
from activation.claim import OutgoingMessage
from activation.consent import opt_out, suppress_address
from activation.policy import DispatchPolicy
from activation.queries import load_sql
from activation.senders import Sender
from activation.templating import TemplateLibrary
from activation.types import Channel
from activation.unsubscribe import list_unsubscribe_headers, unsubscribe_url
from leadengine.settings import Settings
from providers.errors import NotSent, Rejected, Unknown
from providers.factory import Clients
from providers.sendgrid import EmailMessage

# Twilio's own codes. https://www.twilio.com/docs/api/errors
_OPTED_OUT = "21610"
_BAD_NUMBERS = {"21211", "21214", "21217", "21614"}
# The account or its settings are at fault, not the message: the next one fares no better.
_ACCOUNT_STATUSES = {401, 403}


class Result(StrEnum):
    """What came of handing over a message."""

    SENT = "sent"
    RETRY = "retry"
    REJECTED = "rejected"
    UNSETTLED = "unsettled"
    HALT = "halt"
    STALE = "stale"
    """Not handed over: its check was too long ago."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The provider's answer. ``error`` is kept where a person should read it.

    ``was_tried`` is False where our own circuit breaker held the message back.
    """

    result: Result
    provider: str
    message_id: str | None = None
    code: str | None = None
    reason: str | None = None
    error: Exception | None = None
    retry_after: timedelta = timedelta(0)
    was_tried: bool = True


class Courier:
    """Sends messages through the real clients, each with our id in the call."""

    def __init__(
        self,
        clients: Clients,
        settings: Settings,
        found: dict[str, Sender],
        key: bytes,
        library: TemplateLibrary | None = None,
    ) -> None:
        self._clients = clients
        self._settings = settings
        self._senders = found
        self._key = key
        self._library = library or TemplateLibrary()

    def send(self, message: OutgoingMessage) -> Outcome:
        """Hands over one message. Never raises for what a provider does."""
        provider = "twilio" if message.channel is Channel.SMS else "sendgrid"
        try:
            if message.channel is Channel.SMS:
                message_id = self._text(message)
            else:
                message_id = self._email(message)
        except NotSent as error:
            return Outcome(
                Result.RETRY,
                provider,
                code=error.code,
                reason=_reason(error),
                retry_after=timedelta(seconds=error.retry_after or 0),
                was_tried=error.reason != "breaker_open",
            )
        except Rejected as error:
            halt = error.status in _ACCOUNT_STATUSES
            return Outcome(
                Result.HALT if halt else Result.REJECTED,
                provider,
                code=error.code,
                reason=_reason(error),
                error=error,
            )
        except Unknown as error:
            return Outcome(Result.UNSETTLED, provider, code=error.code, reason=_reason(error))
        return Outcome(Result.SENT, provider, message_id=message_id)

    def _text(self, message: OutgoingMessage) -> str:
        receipt = self._clients.twilio.send_sms(
            to=message.to_address,
            from_number=message.from_address,
            body=message.body,
            status_callback=status_callback(self._settings, str(message.send_id)),
            paced=True,
        )
        return receipt.sid

    def _email(self, message: OutgoingMessage) -> str:
        url = unsubscribe_url(self._settings, self._key, message.location_id, message.lead_id)
        sender = self._senders.get(message.location_id)
        subject = message.subject or ""
        return self._clients.sendgrid.send_email(
            EmailMessage(
                to=message.to_address,
                from_email=message.from_address,
                from_name=sender.name if sender else self._settings.sender_name,
                subject=subject,
                text=message.body,
                html=self._library.html(subject, message.body, message.template_id),
                custom_args={
                    "send_id": str(message.send_id),
                    "location_id": message.location_id,
                },
                headers=list_unsubscribe_headers(url),
            ),
            paced=True,
        )


def status_callback(settings: Settings, send_id: str) -> str | None:
    """Where Twilio reports on a text; None where it could not reach us and would refuse it."""
    host = urlsplit(settings.public_url).hostname or ""
    if host in {"localhost", "127.0.0.1", "::1"} and not settings.uses_sandbox:
        return None
    return f"{settings.public_url}/webhooks/twilio/status?send_id={send_id}"


def record_all(
    connection: psycopg.Connection,
    finished: Sequence[tuple[OutgoingMessage, Outcome]],
    *,
    now: datetime,
    policy: DispatchPolicy,
) -> list[str]:
    """Writes down what came of messages, in one transaction. Returns the rows' new statuses.

    A receipt is only written over the claim it belongs to.
    """
    statuses = [_new_status(message, outcome, policy) for message, outcome in finished]
    with connection.transaction():
        sent = [one for one in finished if one[1].result is Result.SENT]
        if sent:
            connection.execute(
                load_sql("record_sent"),
                {
                    "send_ids": [message.send_id for message, _ in sent],
                    "message_ids": [outcome.message_id for _, outcome in sent],
                    "workers": [message.worker for message, _ in sent],
                    "now": now,
                },
            )
        for (message, outcome), (status, reason) in zip(finished, statuses, strict=True):
            if status != "sent":
                _record_one(connection, message, outcome, status, reason, now, policy)
    return [status for status, _ in statuses]


def _record_one(
    connection: psycopg.Connection,
    message: OutgoingMessage,
    outcome: Outcome,
    status: str,
    reason: str | None,
    now: datetime,
    policy: DispatchPolicy,
) -> None:
    if status == "intent":
        is_retry = outcome.result is not Result.STALE
        wait = max(policy.backoff(message.attempts), outcome.retry_after)
        counts = outcome.was_tried and outcome.result is Result.RETRY
        connection.execute(
            "update ops.sends set status = 'intent', status_reason = %s,"
            " not_before = coalesce(%s, not_before),"
            " attempts = attempts - %s, claimed_by = null, claimed_at = null"
            " where send_id = %s and claimed_by = %s and status = 'claimed'",
            (
                reason,
                now + wait if is_retry else None,
                int(not counts),
                message.send_id,
                message.worker,
            ),
        )
        if not is_retry:
            return
    else:
        settled = now if status in {"rejected", "failed"} else None
        connection.execute(
            "update ops.sends set status = %s, status_reason = %s, settled_at = %s"
            " where send_id = %s and claimed_by = %s and status = 'claimed'",
            (status, reason, settled, message.send_id, message.worker),
        )
    if status == "rejected":
        _learn(connection, message, outcome, now)
    _audit(connection, message, status, reason, now)


def _new_status(
    message: OutgoingMessage, outcome: Outcome, policy: DispatchPolicy
) -> tuple[str, str | None]:
    given_up = outcome.was_tried and message.attempts >= policy.max_attempts
    if outcome.result is Result.RETRY and given_up:
        return "failed", f"gave_up:{outcome.reason}"
    status = {
        Result.SENT: "sent",
        Result.RETRY: "intent",
        Result.HALT: "intent",
        Result.STALE: "intent",
        Result.REJECTED: "rejected",
        Result.UNSETTLED: "unsettled",
    }[outcome.result]
    return status, outcome.reason


def _learn(
    connection: psycopg.Connection, message: OutgoingMessage, outcome: Outcome, now: datetime
) -> None:
    """A refusal that tells something about the person or the address is not forgotten."""
    if outcome.provider != "twilio":
        return
    if outcome.code == _OPTED_OUT:
        opt_out(
            connection,
            location_id=message.location_id,
            lead_id=message.lead_id,
            channel=message.channel,
            source="twilio",
            method="Twilio refused the text: recipient has opted out (21610)",
            evidence_key=f"twilio-21610:{message.send_id}",
            at=now,
            actor="dispatch",
        )
    if outcome.code == _OPTED_OUT or outcome.code in _BAD_NUMBERS:
        suppress_address(
            connection,
            location_id=message.location_id,
            channel=message.channel,
            address=message.to_address,
            reason="opted_out" if outcome.code == _OPTED_OUT else "invalid_number",
            source=f"twilio:{outcome.code}",
            at=now,
        )


def _audit(
    connection: psycopg.Connection,
    message: OutgoingMessage,
    status: str,
    reason: str | None,
    now: datetime,
) -> None:
    audit(
        connection,
        at=now,
        actor="dispatch",
        action=f"send_{'retry' if status == 'intent' else status}",
        entity="send",
        entity_id=str(message.send_id),
        location_id=message.location_id,
        detail={"reason": reason, "attempts": message.attempts},
    )


def _reason(error: NotSent | Rejected | Unknown) -> str:
    return str(error.code or error.reason or error.status or type(error).__name__.lower())
