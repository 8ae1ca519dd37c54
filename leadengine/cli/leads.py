"""``score``, ``replay`` and ``explain-send``: one lead, its scores, one message."""

import json
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer

from leadengine.cli.context import migrated_database
from leadengine.errors import LeadEngineError


def score(lead: Annotated[str, typer.Option(help="The lead's id, as in marts.dim_leads.")]) -> None:
    """Prints one lead's score, tier, reasons and feature values as JSON."""
    from ml.online import score_lead

    settings, database = migrated_database()
    typer.echo(json.dumps(score_lead(database, settings, lead), indent=2, default=str))


def replay(
    scores: Annotated[int, typer.Option(min=1, help="How many scores, at most.")] = 1000,
    lead: Annotated[str | None, typer.Option(help="Only this lead's.")] = None,
    seed: Annotated[int, typer.Option(help="Another number, another sample.")] = 0,
) -> None:
    """Computes stored scores again, each with the version that made it, and compares the bits."""
    from ml.replay import replay_scores

    settings, database = migrated_database()
    result = replay_scores(database, settings, limit=scores, lead_id=lead, seed=seed)
    typer.echo(json.dumps(asdict(result), indent=2, default=str))
    if result.differences:
        raise LeadEngineError(
            f"{len(result.differences)} stored values were not reached again.",
            remedy="See which above: the registry, the library versions or the rows have changed.",
        )


def explain_send(send_id: Annotated[str, typer.Argument(help="An id of ops.sends.")]) -> None:
    """Prints the whole proof behind one message as JSON."""
    from activation.explain import explain_send as explain

    try:
        identifier = UUID(send_id)
    except ValueError as error:
        raise LeadEngineError(
            f"ID {send_id!r} is not the id of a message.",
            remedy="Take a send_id from ops.sends or from the summary of `leadengine run`.",
        ) from error
    _, database = migrated_database()
    typer.echo(json.dumps(explain(database, identifier), indent=2, default=str))
