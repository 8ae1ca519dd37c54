"""Webhooks: signed, sent, lost, doubled and retried as the providers do."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from providers.sandbox.chance import iso, uuid_id
from providers.sandbox.faults import Faults
from providers.sandbox.posting import Poster
from providers.sandbox.signing import Form, Keys, form_body, twilio_signature
from providers.sandbox.wire import Json

KINDS = ("ghl", "twilio", "twilio_voice", "sendgrid")
_BATCH = 500
_ATTEMPTS = 6
_WORKERS = 32


@dataclass(slots=True)
class Delivery:
    """One POST that is to be made; ``head`` signs the body at the moment of sending."""

    provider: str
    url: str
    body: bytes
    head: Callable[[bytes], dict[str, str]]
    attempts: int = 0
    due: float = 0.0


class Webhooks:
    """The outgoing queue. In memory: what is in flight when the sandbox is killed is lost.

    Attributes:
        urls: where each of :data:`KINDS` is posted to.
        retry_seconds: GHL's first wait after a 429 and SendGrid's after anything but 2xx;
            doubled each time. Twilio does not retry.
    """

    def __init__(self, keys: Keys, faults: Faults, auth_token: str, seed: int) -> None:
        self.urls: dict[str, str] = {}
        self.retry_seconds = {"ghl": 600.0, "sendgrid": 5.0}
        self._keys, self._faults, self._auth_token, self._seed = keys, faults, auth_token, seed
        self._queue: deque[Delivery] = deque()
        self._later: list[Delivery] = []
        self._events: list[Json] = []
        self._poster = Poster()
        self._running: set[asyncio.Task[None]] = set()
        self._number = 0

    def twilio(self, url: str, form: Form) -> None:
        """Posts a form to ``url``, signed with the account's token."""

        def head(_: bytes) -> dict[str, str]:
            return {
                "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
                "User-Agent": "TwilioProxy/1.1",
                "I-Twilio-Idempotency-Token": uuid_id(self._seed, "twilio", url, form),
                "X-Twilio-Signature": twilio_signature(self._auth_token, url, form),
            }

        self._add(Delivery("twilio", url, form_body(form), head))

    def sendgrid(self, event: Json) -> None:
        """Queues an event; events go out together about once a second."""
        if "sendgrid" in self.urls:
            self._events.append(event)

    def ghl(self, event: Json, moment: datetime) -> None:
        """Posts an event of a location."""
        url = self.urls.get("ghl")
        if url is None:
            return
        self._number += 1
        webhook_id = uuid_id(self._seed, "webhook", iso(moment), self._number, event.get("type"))
        body = orjson.dumps({**event, "timestamp": iso(moment), "webhookId": webhook_id})

        def head(payload: bytes) -> dict[str, str]:
            return {
                "Content-Type": "application/json",
                "User-Agent": "Go-http-client/1.1",
                "x-ghl-signature": self._keys.ghl_signature(payload),
                "x-wh-signature": self._keys.wh_signature(payload),
            }

        self._add(Delivery("ghl", url, body, head))

    def flush(self) -> None:
        """Starts what is due; called by the server's ticker within its event loop."""
        self._batch_events()
        now = time.monotonic()
        if self._later:
            self._queue.extend(d for d in self._later if d.due <= now)
            self._later = [d for d in self._later if d.due > now]
        for _ in range(min(len(self._queue), _WORKERS - len(self._running))):
            task = asyncio.get_running_loop().create_task(self._work())
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    @property
    def pending(self) -> int:
        """Deliveries queued, waiting for a retry, or under way."""
        return len(self._queue) + len(self._later) + len(self._running) + len(self._events)

    def close(self) -> None:
        """Drops what was not sent and closes the connections."""
        for task in self._running:
            task.cancel()
        self._poster.close()

    def _batch_events(self) -> None:
        url = self.urls.get("sendgrid")
        while self._events and url is not None:
            batch, self._events = self._events[:_BATCH], self._events[_BATCH:]
            # SendGrid's own separator: the signature is over these bytes.
            body = b"[" + b",\r\n".join(orjson.dumps(e) for e in batch) + b"]\r\n"

            def head(payload: bytes) -> dict[str, str]:
                timestamp = str(int(datetime.now(UTC).timestamp()))
                name = "X-Twilio-Email-Event-Webhook"
                return {
                    "Content-Type": "application/json",
                    "User-Agent": "SendGrid Event API",
                    f"{name}-Timestamp": timestamp,
                    f"{name}-Signature": self._keys.sendgrid_signature(timestamp, payload),
                }

            self._add(Delivery("sendgrid", url, body, head))

    def _add(self, delivery: Delivery) -> None:
        struck = self._faults.for_webhook(delivery.provider) if self._faults.active else {}
        if "lose_webhook" in struck:
            return
        if "duplicate_webhook" in struck:
            self._queue.append(
                Delivery(delivery.provider, delivery.url, delivery.body, delivery.head)
            )
        if "reorder_webhook" in struck:
            delivery.due = time.monotonic() + struck["reorder_webhook"].value / 1000
            self._later.append(delivery)
            return
        self._queue.append(delivery)

    async def _work(self) -> None:
        while self._queue:
            await self._deliver(self._queue.popleft())

    async def _deliver(self, delivery: Delivery) -> None:
        head = delivery.head(delivery.body)
        status = await self._poster.post(delivery.url, head, delivery.body)
        delivery.attempts += 1
        again = (delivery.provider == "ghl" and status == 429) or (
            delivery.provider == "sendgrid" and not 200 <= status < 300
        )
        if again and delivery.attempts < _ATTEMPTS:
            wait = self.retry_seconds[delivery.provider] * 2 ** (delivery.attempts - 1)
            delivery.due = time.monotonic() + wait
            self._later.append(delivery)
