"""``score`` and ``explain-send``: one lead, one message."""

import json
from typing import Annotated
from uuid import UUID

import typer

from leadengine.cli.context import migrated_database
from leadengine.errors import LeadEngineError


def score(lead: Annotated[str, typer.Option(help="The lead's id, as in marts.dim_leads.")]) -> None:
    """Prints one lead's score, tier, reasons and feature values as JSON."""
    from ml.scoring import score_lead

    settings, database = migrated_database()
    typer.echo(json.dumps(score_lead(database, settings, lead), indent=2, default=str))


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
