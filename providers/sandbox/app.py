"""The sandbox as an ASGI application."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from providers.sandbox.gateway import Gateway
from providers.sandbox.state import Sandbox


def create_app(
    state_dir: Path,
    contacts: int,
    seed: int,
    anchor: date | None = None,
    *,
    unlimited: bool = False,
    latency: float = 0.0,
) -> Gateway:
    """The application; its state is brought up to date when the server starts it.

    Args:
        state_dir: where its state is kept; one sandbox at a time.
        contacts: how many contacts the simulated brokerage has.
        seed: of the simulation and of everything drawn later.
        anchor: the day (UTC) around which the simulation lies; None: the one kept, else today.
        unlimited: no rate limits, neither the APIs' nor the carriers'.
        latency: seconds that every call of a provider takes at least.

    Raises:
        LeadEngineError: the folder cannot be used, or holds another brokerage.
    """
    sandbox = Sandbox(state_dir, contacts, seed, anchor, unlimited=unlimited)
    return Gateway(sandbox, latency=latency)
