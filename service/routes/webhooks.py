"""What providers post: proven, kept, answered, and only then handled."""

import json
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, BackgroundTasks, Depends, Header, HTTPException, Request, Response

from activation.auto_reply import NO_ANSWER, answer
from activation.inbound import handle_events, sendgrid_events, store_events, twilio_event
from leadengine.clock import SystemClock
from leadengine.errors import SettingsError
from leadengine.settings import Settings
from providers.webhooks import verify_sendgrid, verify_twilio
from service.dependencies import DatabaseDependency, SettingsDependency
from warehouse.database import Database

router = APIRouter(prefix="/webhooks", tags=["webhooks"])
MAX_BYTES = 5 * 2**20
"""A larger body is refused; SendGrid's batches stay below it."""


async def _raw_body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise HTTPException(413, f"more than {MAX_BYTES} bytes")
    return body


RawBody = Annotated[bytes, Depends(_raw_body)]


def _handle(database: Database, settings: Settings) -> None:
    handle_events(database, settings, SystemClock())


def _twilio_form(
    request: Request, body: bytes, settings: Settings, signature: str
) -> dict[str, str]:
    token = settings.twilio_auth_token
    if token is None:
        raise SettingsError(
            "TWILIO_AUTH_TOKEN is not set, so no webhook of Twilio's can be believed.",
            remedy="Set it in .env.",
        )
    form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    # As Twilio called it: behind a proxy the request's own host is not what was signed.
    query = f"?{request.url.query}" if request.url.query else ""
    url = f"{settings.public_url}{request.url.path}{query}"
    if not verify_twilio(url, form, signature, token.get_secret_value()):
        raise HTTPException(403, "the signature does not fit")
    return form


@router.post("/twilio/sms")
@router.post("/twilio/status")
@router.post("/twilio/voice")
def twilio(
    request: Request,
    body: RawBody,
    database: DatabaseDependency,
    settings: SettingsDependency,
    tasks: BackgroundTasks,
    x_twilio_signature: Annotated[str, Header()] = "",
    send_id: str | None = None,
) -> Response:
    """A text that came in, the status of one that we sent, or of a call.

    Answers with no message but to an opt-out in plain words and to a request for help.
    """
    form = _twilio_form(request, body, settings, x_twilio_signature)
    try:
        event = twilio_event(form, send_id)
    except KeyError as error:
        raise HTTPException(400, f"{error.args[0]} is missing") from error
    is_new = store_events(database, [event]) == 1
    tasks.add_task(_handle, database, settings)
    twiml = answer(database, settings, event, SystemClock().now()) if is_new else NO_ANSWER
    return Response(twiml, media_type="text/xml", background=tasks)


@router.post("/sendgrid/events", status_code=204)
def sendgrid(
    body: RawBody,
    database: DatabaseDependency,
    settings: SettingsDependency,
    tasks: BackgroundTasks,
    x_twilio_email_event_webhook_signature: Annotated[str, Header()] = "",
    x_twilio_email_event_webhook_timestamp: Annotated[str, Header()] = "",
) -> Response:
    """SendGrid's events, many at a time."""
    key = settings.sendgrid_webhook_public_key
    if key is None:
        raise SettingsError(
            "SENDGRID_WEBHOOK_PUBLIC_KEY is not set, so no event of SendGrid's can be believed.",
            remedy="Copy it from SendGrid's mail settings into .env.",
        )
    signature = x_twilio_email_event_webhook_signature
    if not verify_sendgrid(body, x_twilio_email_event_webhook_timestamp, signature, key):
        raise HTTPException(403, "the signature does not fit")
    try:
        events = sendgrid_events(json.loads(body))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise HTTPException(400, "the body is not a list of events") from error
    store_events(database, events)
    tasks.add_task(_handle, database, settings)
    return Response(status_code=204, background=tasks)
