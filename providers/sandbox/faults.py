"""Misbehaviour on demand: which request or webhook goes wrong, drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from providers.sandbox.chance import uniform

REQUEST_KINDS = ("status", "drop_response", "latency")
WEBHOOK_KINDS = ("duplicate_webhook", "lose_webhook", "reorder_webhook")
PROVIDERS = ("ghl", "twilio", "sendgrid", "apollo", "anthropic")


@dataclass(slots=True)
class Fault:
    """One standing order to misbehave.

    Attributes:
        provider: one of the five, or ``*``.
        rate: share of requests (or webhooks) that it strikes, 0 to 1.
        value: the status to answer with, milliseconds of latency, or of a reordered delay.
        method: only requests of this method; empty for all.
        path: only requests whose path holds this text; empty for all.
        after_work: a ``status`` fault does the work first, then answers with the status.
    """

    id: int
    provider: str
    kind: str
    rate: float
    value: float
    method: str = ""
    path: str = ""
    after_work: bool = False
    draws: int = 0

    def strikes(self, seed: int) -> bool:
        """Draws once; the n-th draw of a fault is the same in every run with one seed."""
        self.draws += 1
        return uniform(seed, "fault", self.id, self.draws) < self.rate


class Faults:
    """The standing faults, in the order they were set."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._number = 0
        self.active: list[Fault] = []

    def add(self, order: dict[str, Any]) -> Fault:
        """Adds one.

        Raises:
            ValueError: a field does not fit; the text names it.
        """
        unknown = set(order) - {
            "provider", "kind", "rate", "value", "method", "path", "after_work",
        }  # fmt: skip
        if unknown:
            raise ValueError(f"unknown field {sorted(unknown)[0]}")
        provider, kind = order.get("provider", "*"), order.get("kind")
        if provider not in (*PROVIDERS, "*"):
            raise ValueError(f"provider {provider!r} is none of {', '.join(PROVIDERS)}, *")
        if kind not in REQUEST_KINDS + WEBHOOK_KINDS:
            raise ValueError(f"kind {kind!r} is none of {', '.join(REQUEST_KINDS + WEBHOOK_KINDS)}")
        rate, value = order.get("rate", 1.0), order.get("value")
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise ValueError(f"rate {rate!r} is not a number from 0 to 1")
        if value is None:
            value = {"status": 500, "latency": 1000, "reorder_webhook": 1500}.get(kind, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ValueError(f"value {value!r} is not a number from 0 up")
        if kind == "status" and not 400 <= value <= 599:
            raise ValueError(f"value {value!r} is not a status from 400 to 599")
        self._number += 1
        fault = Fault(
            self._number,
            provider,
            kind,
            float(rate),
            float(value),
            str(order.get("method") or "").upper(),
            str(order.get("path") or ""),
            bool(order.get("after_work")),
        )
        self.active.append(fault)
        return fault

    def clear(self) -> None:
        """Removes all."""
        self.active.clear()

    def for_request(self, provider: str, method: str, path: str) -> dict[str, Fault]:
        """The faults that strike this request, at most one of a kind."""
        struck: dict[str, Fault] = {}
        for fault in self.active:
            if (
                fault.kind in REQUEST_KINDS
                and fault.provider in (provider, "*")
                and (not fault.method or fault.method == method)
                and (not fault.path or fault.path in path)
                and fault.strikes(self._seed)
            ):
                struck.setdefault(fault.kind, fault)
        return struck

    def for_webhook(self, provider: str) -> dict[str, Fault]:
        """The faults that strike this webhook, at most one of a kind."""
        struck: dict[str, Fault] = {}
        for fault in self.active:
            if (
                fault.kind in WEBHOOK_KINDS
                and fault.provider in (provider, "*")
                and fault.strikes(self._seed)
            ):
                struck.setdefault(fault.kind, fault)
        return struck
