"""One-click unsubscribe: signed links that name a lead, and what following one does."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from activation.consent import newest_action, opt_out
from leadengine.clock import Clock
from leadengine.errors import LeadEngineError, SettingsError
from leadengine.settings import Settings
from warehouse.database import Database

_SIGNATURE_BYTES = 16


class TokenError(LeadEngineError):
    """An unsubscribe link was cut off, altered, or signed with another key."""


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """What following a link did. ``was_new`` is False when it had been followed before."""

    lead_id: str
    location_id: str
    was_new: bool
    cancelled: int


def secret_key(settings: Settings) -> bytes:
    """The key that signs links: LEADENGINE_SECRET_KEY, else a file made at first use.

    The file is ``secret.key`` in the state folder, readable by its owner only. Losing it makes
    the links in emails already sent useless, so it belongs in the backup.

    Raises:
        SettingsError: the file can be neither read nor made.
    """
    if settings.secret_key is not None:
        return hashlib.sha256(settings.secret_key.get_secret_value().encode()).digest()
    path = settings.home / "secret.key"
    try:
        if not path.exists():
            _create_key(path)
        return hashlib.sha256(path.read_bytes().strip()).digest()
    except OSError as error:
        raise SettingsError(
            f"The key {path} can be neither read nor made: {error.strerror}.",
            remedy="Give your user the right to it, or set LEADENGINE_SECRET_KEY.",
        ) from error


def _create_key(path: Path) -> None:
    # Written whole under another name and then linked: a second process that makes its own at
    # the same moment loses, and nobody reads half a key.
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def make_token(key: bytes, location_id: str, lead_id: str) -> str:
    """A link's token: who it is for, by id only, and a signature. It does not expire."""
    payload = json.dumps([1, location_id, lead_id], separators=(",", ":")).encode()
    return f"{_encode(payload)}.{_encode(_sign(key, payload))}"


def read_token(key: bytes, token: str) -> tuple[str, str]:
    """The location and lead that a token names.

    Raises:
        TokenError: it is not one of ours.
    """
    bad = TokenError(
        "This unsubscribe link is not valid.",
        remedy="Use the whole link from the email, or answer the email with 'unsubscribe'.",
    )
    payload_part, _, signature_part = token.partition(".")
    try:
        payload, signature = _decode(payload_part), _decode(signature_part)
    except (binascii.Error, ValueError) as error:
        raise bad from error
    if not hmac.compare_digest(_sign(key, payload), signature):
        raise bad
    _, location_id, lead_id = json.loads(payload)
    return str(location_id), str(lead_id)


def unsubscribe_url(settings: Settings, key: bytes, location_id: str, lead_id: str) -> str:
    """The address that stands in an email's footer and its List-Unsubscribe header."""
    return f"{settings.public_url}/unsubscribe/{make_token(key, location_id, lead_id)}"


def list_unsubscribe_headers(url: str) -> dict[str, str]:
    """The two headers of RFC 8058 that let a mail program unsubscribe with one click."""
    return {
        "List-Unsubscribe": f"<{url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def unsubscribe(database: Database, settings: Settings, token: str, clock: Clock) -> Unsubscribed:
    """Does what a link asks for: no more email to this lead, from this moment on.

    Everything queued for the lead by email is cancelled. Following a link twice is harmless.

    Raises:
        TokenError: the token is not one of ours.
    """
    location_id, lead_id = read_token(secret_key(settings), token)
    now = clock.now()
    with database.connect() as connection:
        if newest_action(connection, lead_id, "email") == "revoked":
            return Unsubscribed(lead_id, location_id, was_new=False, cancelled=0)
        result = opt_out(
            connection,
            location_id=location_id,
            lead_id=lead_id,
            channel="email",
            source="unsubscribe_link",
            method="one-click link in an email",
            evidence_key=f"unsubscribe:{lead_id}:{now.isoformat()}",
            at=now,
            actor="recipient",
            suppress=True,
        )
    return Unsubscribed(lead_id, location_id, result.was_new, result.cancelled)


def _sign(key: bytes, payload: bytes) -> bytes:
    return hmac.new(key, b"unsubscribe:" + payload, hashlib.sha256).digest()[:_SIGNATURE_BYTES]


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
