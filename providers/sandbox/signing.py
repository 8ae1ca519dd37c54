"""The key pairs of this sandbox and the signatures its webhooks carry, made as the providers do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from leadengine.errors import LeadEngineError

Form = dict[str, str]
K = TypeVar("K", ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, rsa.RSAPrivateKey)


def twilio_signature(auth_token: str, url: str, form: Form) -> str:
    """``X-Twilio-Signature``: HMAC-SHA1 over the URL and the sorted form fields, base64."""
    text = url + "".join(name + form[name] for name in sorted(form))
    mac = hmac.new(auth_token.encode(), text.encode(), hashlib.sha1)
    return base64.b64encode(mac.digest()).decode()


def form_body(form: Form) -> bytes:
    """A form as it goes over the wire."""
    return urlencode(form).encode()


class Keys:
    """Made once per state folder and kept there, readable by its owner only."""

    def __init__(self, folder: Path) -> None:
        self._ecdsa = _load_or_make(
            folder / "sendgrid-webhook.pem",
            ec.EllipticCurvePrivateKey,
            lambda: ec.generate_private_key(ec.SECP256R1()),
        )
        self._ed25519 = _load_or_make(
            folder / "ghl-webhook-ed25519.pem",
            ed25519.Ed25519PrivateKey,
            ed25519.Ed25519PrivateKey.generate,
        )
        self._rsa = _load_or_make(
            folder / "ghl-webhook-rsa.pem",
            rsa.RSAPrivateKey,
            lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
        )

    def sendgrid_signature(self, timestamp: str, body: bytes) -> str:
        """ECDSA P-256 over SHA-256 of timestamp and raw body, DER in base64."""
        signed = self._ecdsa.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return base64.b64encode(signed).decode()

    def ghl_signature(self, body: bytes) -> str:
        """``x-ghl-signature``: Ed25519 over the raw body, base64."""
        return base64.b64encode(self._ed25519.sign(body)).decode()

    def wh_signature(self, body: bytes) -> str:
        """``x-wh-signature``: RSA-SHA256 (PKCS #1 v1.5) over the raw body, base64."""
        signed = self._rsa.sign(body, padding.PKCS1v15(), hashes.SHA256())
        return base64.b64encode(signed).decode()

    @property
    def sendgrid_public_key(self) -> str:
        """As SendGrid shows it: base64 of the DER, without the PEM lines."""
        der = self._ecdsa.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(der).decode()

    @property
    def ghl_ed25519_public_key(self) -> str:
        """PEM."""
        return _public_pem(self._ed25519)

    @property
    def ghl_rsa_public_key(self) -> str:
        """PEM."""
        return _public_pem(self._rsa)


def _public_pem(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> str:
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode()


def _load_or_make(path: Path, kind: type[Any], make: Callable[[], K]) -> K:
    if path.exists():
        known: Any = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(known, kind):
            raise LeadEngineError(
                f"The sandbox's key file {path} holds a key of another kind.",
                remedy="Delete the file; a new key is made at the next start.",
            )
        kept: K = known
        return kept
    key = make()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    draft.rename(path)
    return key
