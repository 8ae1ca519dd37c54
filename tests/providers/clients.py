"""Clients that talk to a local address, with short waits."""

from __future__ import annotations

import httpx
import urllib3
from pydantic import SecretStr

from providers.apollo import ApolloClient
from providers.claude import ClaudeClient
from providers.core import RetryPolicy
from providers.ghl import GhlClient
from providers.limits import LocalRateLimiter, RateLimit
from providers.sendgrid import EmailMessage, SendGridClient
from providers.twilio import TwilioClient

QUICK = RetryPolicy(
    attempts=4, wait_initial=0.01, wait_max=0.02, wait_jitter=0.01, longest_wait=5.0, total=20.0
)
SECRET = "an-imaginary-secret"  # pragma: allowlist secret
LOCATION = "loc1"
ACCOUNT = "AC00000000000000000000000000000000"  # pragma: allowlist secret
PHONE, SENDER = "+12025550143", "+12025550100"
EMAIL_ADDRESS = "ada.lovelace@example.com"
BODY = "Hi Ada, is the house on Maple Street still of interest?"
EMAIL = EmailMessage(
    to=EMAIL_ADDRESS,
    from_email="team@example.com",
    from_name="The Team",
    subject="Maple Street",
    text=BODY,
    html=f"<p>{BODY}</p>",
    custom_args={"send_id": "5f0c1d1e"},
    headers={"List-Unsubscribe": "<https://example.com/u/1>"},
)


def ghl(url: str, policy: RetryPolicy = QUICK) -> GhlClient:
    return GhlClient(url, SecretStr(SECRET), LOCATION, limiter=LocalRateLimiter(), policy=policy)


def twilio(url: str, policy: RetryPolicy = QUICK) -> TwilioClient:
    return TwilioClient(url, ACCOUNT, SecretStr(SECRET), limiter=LocalRateLimiter(), policy=policy)


def sendgrid(url: str, policy: RetryPolicy = QUICK) -> SendGridClient:
    return SendGridClient(
        url,
        SecretStr(SECRET),
        limiter=LocalRateLimiter(),
        # Six a minute, as it really is, would make these tests wait.
        activity_limit=RateLimit(1000, 1.0),
        policy=policy,
    )


def apollo(url: str, policy: RetryPolicy = QUICK) -> ApolloClient:
    return ApolloClient(url, SecretStr(SECRET), limiter=LocalRateLimiter(), policy=policy)


def claude(url: str, policy: RetryPolicy = QUICK) -> ClaudeClient:
    return ClaudeClient(url, SecretStr(SECRET), limiter=LocalRateLimiter(), policy=policy)


def hurry(client: object, seconds: float) -> None:
    """Shortens how long ``client`` waits for an answer."""
    if hasattr(client, "_wire"):
        client._wire.timeout = urllib3.Timeout(seconds)
    else:
        client._http.timeout = httpx.Timeout(seconds)  # type: ignore[attr-defined]
