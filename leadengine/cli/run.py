"""``leadengine run``: the whole engine once, from loading to writing back."""

import logging
from collections.abc import Callable
from time import monotonic

from leadengine.cli.context import migrated_database, provider_settings
from leadengine.cli.summary import print_summary
from leadengine.progress import console

# Steps that end faster than this say nothing that a person waits for.
_SHOWN_SECONDS = 0.5


def run() -> None:
    """Loads, transforms, checks, trains if need be, scores, plans, and writes back.

    Against the sandbox it approves and sends the batch too; with live providers the batch waits
    for a person.
    """
    started = monotonic()
    # What a log would say is on the screen already, as steps and as the summary.
    logging.getLogger("leadengine").setLevel(logging.WARNING)
    console.print("Starting the database ...")
    settings, database = migrated_database()
    if not settings.has_live_credentials:
        console.print(
            "No GoHighLevel credentials: the sandbox stands in. Its people are simulated."
        )
    with provider_settings(settings) as resolved:
        console.print("Loading Dagster and dbt ...")
        from ml.champion import has_champion
        from orchestration.instance import open_instance
        from orchestration.launch import run_job
        from orchestration.resources import forget_connections

        forget_connections()
        instance = open_instance(settings, database)
        job = "hourly_refresh" if has_champion(resolved, database) else "full_refresh"
        runs = {}
        for name, title in (
            (job, "Load, check, transform and score"),
            ("nurture_batch", "Nurture batch"),
            ("writeback", "Write back to the CRM"),
        ):
            console.rule(f"{title} (job {name})", align="left")
            config = None
            if name == "nurture_batch" and resolved.uses_sandbox:
                config = {"ops__batches": {"approved_by": "leadengine run (sandbox)"}}
            runs[name] = run_job(
                instance, name, resolved, on_step=_show_step(), asset_config=config
            )
        instance.dispose()
        forget_connections()
    print_summary(database, resolved, runs, seconds=monotonic() - started)


def _show_step() -> Callable[[str, float], None]:
    def show(step: str, seconds: float) -> None:
        if seconds >= _SHOWN_SECONDS:
            console.print(f"  {step.replace('__', '.')} {seconds:.1f} s", markup=False)

    return show
