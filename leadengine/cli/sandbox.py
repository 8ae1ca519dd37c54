"""``leadengine sandbox``: the simulated providers alone."""

from typing import Annotated

import typer

from leadengine.progress import console
from leadengine.settings import get_settings


def sandbox(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8900,
    contacts: Annotated[int | None, typer.Option(help="Contacts of a new brokerage.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of a new brokerage.")] = None,
    unlimited: Annotated[
        bool, typer.Option("--unlimited", help="No rate limits, for benchmarks.")
    ] = False,
    latency_ms: Annotated[
        float, typer.Option(help="How long every call takes at least.", min=0)
    ] = 0.0,
) -> None:
    """Runs the sandbox in the foreground: every provider's API, with simulated people."""
    from providers.sandbox.launcher import start_sandbox

    settings = get_settings()
    process = start_sandbox(
        settings.prepare_home(),
        port=port or None,
        contacts=contacts or settings.sandbox_contacts,
        seed=settings.sandbox_seed if seed is None else seed,
        unlimited=unlimited,
        latency_ms=latency_ms,
    )
    try:
        console.print(f"The sandbox answers at {process.url} . Its people are simulated.")
        console.print(f"Use it with SANDBOX_URL={process.url} ; Ctrl-C stops it.")
        process.process.wait()
    finally:
        process.stop()
