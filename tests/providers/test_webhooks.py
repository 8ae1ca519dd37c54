"""Signed requests are believed, forged ones are not."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from leadengine.errors import SettingsError
from providers.webhooks import verify_ghl, verify_sendgrid, verify_twilio
from tests.shared_folder import shared

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ED25519 = Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def pem(key: Any) -> str:
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return str(public.decode())


def der(key: Any) -> str:
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(public).decode()


def raw(key: Any) -> str:
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.b64encode(public).decode()


def body_at(moment: datetime) -> bytes:
    content = {"type": "ContactCreate", "timestamp": moment.isoformat(), "webhookId": "w1"}
    return json.dumps(content).encode()


def signed_ed25519(body: bytes) -> dict[str, str]:
    return {"X-GHL-Signature": base64.b64encode(ED25519.sign(body)).decode()}


def signed_rsa(body: bytes) -> dict[str, str]:
    signature = RSA.sign(body, padding.PKCS1v15(), hashes.SHA256())
    return {"x-wh-signature": base64.b64encode(signature).decode()}


def ghl(body: bytes, headers: dict[str, str], **keys: str | None) -> bool:
    known: dict[str, str | None] = {"ed25519_public_key": pem(ED25519), "rsa_public_key": pem(RSA)}
    known.update(keys)
    return verify_ghl(
        body,
        headers,
        ed25519_public_key=known["ed25519_public_key"],
        rsa_public_key=known["rsa_public_key"],
        now=NOW,
    )


def test_the_published_vectors() -> None:
    vectors = json.loads(shared("contracts/vectors/webhook-signatures.json").read_text("utf-8"))
    token = vectors["twilio"]["auth_token"]
    for case in vectors["twilio"]["cases"]:
        content = case.get("params", case.get("body"))
        got = verify_twilio(case["url"], content, case["signature"], token)
        assert got == case["valid"], case["name"]
    key = vectors["sendgrid"]["public_key"]
    for case in vectors["sendgrid"]["cases"]:
        got = verify_sendgrid(case["body"].encode(), case["timestamp"], case["signature"], key)
        assert got == case["valid"], case["name"]


def test_a_json_body_that_twilio_did_not_hash_is_not_believed() -> None:
    from twilio.request_validator import RequestValidator

    token, url, body = "t", "https://example.com/hook", b'{"a": 1}'
    digest = hashlib.sha256(body).hexdigest()
    hashed = f"{url}?bodySHA256={digest}"
    signature = RequestValidator(token).compute_signature(hashed, {})
    assert verify_twilio(hashed, body, signature, token)
    assert not verify_twilio(hashed, b'{"a": 2}', signature, token)
    assert not verify_twilio(hashed, b"\xff", signature, token)
    unhashed = RequestValidator(token).compute_signature(url, {})
    assert not verify_twilio(url, body, unhashed, token)


def test_sendgrid_signs_with_any_key_format() -> None:
    body, timestamp = b'[{"event": "open"}]', "1700000000"
    signature = base64.b64encode(
        EC.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    ).decode()
    for key in (pem(EC), der(EC), pem(EC).replace("\n", "\\n")):
        assert verify_sendgrid(body, timestamp, signature, key)
    assert not verify_sendgrid(body, "1700000001", signature, pem(EC))
    assert not verify_sendgrid(body + b" ", timestamp, signature, pem(EC))
    assert not verify_sendgrid(body, timestamp, "no base64!", pem(EC))


def test_ghl_is_believed_by_either_signature() -> None:
    body = body_at(NOW)
    assert ghl(body, signed_ed25519(body))
    assert ghl(body, signed_rsa(body))
    for key in (pem(ED25519), der(ED25519), raw(ED25519)):
        assert ghl(body, signed_ed25519(body), ed25519_public_key=key, rsa_public_key=None)
    assert ghl(body, {**signed_ed25519(body), **signed_rsa(body)}, ed25519_public_key=None)


def test_ghl_forgeries_are_not_believed() -> None:
    body, other = body_at(NOW), body_at(NOW + timedelta(seconds=1))
    assert not ghl(body, signed_ed25519(other))
    assert not ghl(body, signed_rsa(other))
    assert not ghl(body, {})
    assert not ghl(body, {"x-ghl-signature": "no base64!"})
    assert not ghl(body, {"x-wh-signature": "no base64!"})
    # The older signature cannot stand in for a newer one that is wrong.
    assert not ghl(body, {**signed_ed25519(other), **signed_rsa(body)})
    assert not ghl(body, signed_ed25519(body), ed25519_public_key=None, rsa_public_key=None)
    assert not ghl(body, signed_rsa(body), rsa_public_key=None)


@pytest.mark.parametrize(
    ("age", "believed"),
    [
        (timedelta(minutes=5), True),
        (timedelta(minutes=5, seconds=1), False),
        (timedelta(minutes=-5), True),
        (timedelta(minutes=-5, seconds=-1), False),
        (timedelta(days=3), False),
    ],
)
def test_ghl_is_believed_for_five_minutes(age: timedelta, believed: bool) -> None:
    body = body_at(NOW - age)
    assert ghl(body, signed_ed25519(body)) is believed
    assert ghl(body, signed_rsa(body)) is believed


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"not json", b'{"timestamp": "yesterday"}', b'{"timestamp": 3}', b"\xff"]
)
def test_ghl_without_a_time_is_not_believed(body: bytes) -> None:
    assert not ghl(body, signed_ed25519(body))


@settings(deadline=None)
@given(st.binary(max_size=60), st.text(max_size=60))
def test_no_input_trips_the_verification(body: bytes, signature: str) -> None:
    assert not ghl(body, {"x-ghl-signature": signature})
    assert not ghl(body, {"x-wh-signature": signature})
    assert not verify_sendgrid(body, signature, signature, pem(EC))
    assert not verify_twilio("https://example.com/", body, signature, "t")


@pytest.mark.parametrize("key", ["", "not a key", "AAAA", "-----BEGIN PUBLIC KEY-----\nx"])
def test_a_key_that_cannot_be_read_names_its_variable(key: str) -> None:
    with pytest.raises(SettingsError, match="SENDGRID_WEBHOOK_PUBLIC_KEY"):
        verify_sendgrid(b"", "0", "AAAA", key)
    if key:
        body = body_at(NOW)
        with pytest.raises(SettingsError, match="GHL_WEBHOOK_ED25519_PUBLIC_KEY"):
            ghl(body, signed_ed25519(body), ed25519_public_key=key)
        with pytest.raises(SettingsError, match="GHL_WEBHOOK_PUBLIC_KEY"):
            ghl(body, signed_rsa(body), rsa_public_key=key)


def test_a_key_of_another_kind_names_its_variable() -> None:
    body = body_at(NOW)
    with pytest.raises(SettingsError, match="GHL_WEBHOOK_PUBLIC_KEY"):
        ghl(body, signed_rsa(body), rsa_public_key=pem(ED25519))
    with pytest.raises(SettingsError, match="Ed25519"):
        ghl(body, signed_ed25519(body), ed25519_public_key=pem(RSA))
