"""Proves that a webhook comes from the provider it claims to come from.

Each function takes the request's raw body: a body that was parsed and written anew has another
signature. A replay is the caller's to refuse, by the event's id.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key
from twilio.request_validator import RequestValidator

from leadengine.errors import SettingsError

MAX_AGE = timedelta(minutes=5)


def verify_twilio(
    url: str, params: Mapping[str, str] | bytes | str, signature: str, auth_token: str
) -> bool:
    """Whether Twilio signed this request.

    Args:
        url: as Twilio called it, scheme and query included; with and without its port both count.
        params: the form's fields, or the raw body where it is JSON (the URL then carries its hash).
        signature: header ``X-Twilio-Signature``.
        auth_token: the account's.
    """
    if isinstance(params, bytes):
        try:
            params = params.decode("utf-8")
        except UnicodeDecodeError:
            return False
    # Without its hash in the signed URL, nothing vouches for a body that is no form.
    if isinstance(params, str) and "bodySHA256=" not in url:
        return False
    return bool(RequestValidator(auth_token).validate(url, params, signature))


def verify_sendgrid(body: bytes, timestamp: str, signature: str, public_key: str) -> bool:
    """Whether SendGrid's event webhook signed this body.

    Args:
        body: raw.
        timestamp: header ``X-Twilio-Email-Event-Webhook-Timestamp``.
        signature: header ``X-Twilio-Email-Event-Webhook-Signature``.
        public_key: as the mail settings show it: base64 of DER, or PEM.

    Raises:
        SettingsError: the key cannot be read.
    """
    key = _public_key(public_key, "SENDGRID_WEBHOOK_PUBLIC_KEY")
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise _not_a_key("SENDGRID_WEBHOOK_PUBLIC_KEY", "an elliptic curve")
    decoded = _base64(signature)
    if decoded is None:
        return False
    try:
        key.verify(decoded, timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def verify_ghl(
    body: bytes,
    headers: Mapping[str, str],
    *,
    ed25519_public_key: str | None,
    rsa_public_key: str | None,
    now: datetime,
    max_age: timedelta = MAX_AGE,
) -> bool:
    """Whether HighLevel signed this body, and lately.

    ``x-ghl-signature`` (Ed25519) decides where it is present and its key is known; else
    ``x-wh-signature`` (RSA with SHA-256) does. Without a key that fits, nothing is believed.

    Args:
        body: raw; holds ``timestamp``, which may be ``max_age`` away from ``now``, no more.
        headers: names in any case.
        ed25519_public_key: PEM, or base64 of DER or of the 32 bytes.
        rsa_public_key: PEM, or base64 of DER.
        now: aware.
        max_age: how old, or how far ahead, a webhook may be.

    Raises:
        SettingsError: a key cannot be read.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    newer, older = lowered.get("x-ghl-signature"), lowered.get("x-wh-signature")
    if newer and ed25519_public_key:
        signed = _signed_ed25519(body, newer, ed25519_public_key)
    elif older and rsa_public_key:
        signed = _signed_rsa(body, older, rsa_public_key)
    else:
        return False
    return signed and _is_recent(body, now, max_age)


def _signed_ed25519(body: bytes, signature: str, public_key: str) -> bool:
    key = _public_key(public_key, "GHL_WEBHOOK_ED25519_PUBLIC_KEY")
    if not isinstance(key, Ed25519PublicKey):
        raise _not_a_key("GHL_WEBHOOK_ED25519_PUBLIC_KEY", "an Ed25519")
    decoded = _base64(signature)
    if decoded is None:
        return False
    try:
        key.verify(decoded, body)
    except InvalidSignature:
        return False
    return True


def _signed_rsa(body: bytes, signature: str, public_key: str) -> bool:
    key = _public_key(public_key, "GHL_WEBHOOK_PUBLIC_KEY")
    if not isinstance(key, rsa.RSAPublicKey):
        raise _not_a_key("GHL_WEBHOOK_PUBLIC_KEY", "an RSA")
    decoded = _base64(signature)
    if decoded is None:
        return False
    try:
        key.verify(decoded, body, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _is_recent(body: bytes, now: datetime, max_age: timedelta) -> bool:
    try:
        content = json.loads(body)
        sent = datetime.fromisoformat(content["timestamp"])
    except (ValueError, KeyError, TypeError):
        return False
    if sent.tzinfo is None:
        sent = sent.replace(tzinfo=UTC)
    return abs(now - sent) <= max_age


def _public_key(text: str, variable: str) -> object:
    # A PEM that came through an environment variable often holds the two characters "\n".
    text = text.strip().replace("\\n", "\n")
    try:
        if text.startswith("-----BEGIN"):
            return load_pem_public_key(text.encode())
        der = base64.b64decode(text, validate=True)
        if len(der) == 32:
            return Ed25519PublicKey.from_public_bytes(der)
        return load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _not_a_key(variable, "a") from error


def _base64(signature: str) -> bytes | None:
    try:
        return base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return None


def _not_a_key(variable: str, kind: str) -> SettingsError:
    return SettingsError(
        f"{variable} does not hold {kind} public key.",
        remedy=f"Copy the key from the provider's webhook settings into {variable}, as PEM or "
        "base64.",
    )
