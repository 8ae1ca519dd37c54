"""Which version of the model was champion when, and why; and the way back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from leadengine.clock import SystemClock
from leadengine.errors import LeadEngineError
from leadengine.settings import Settings
from ml import tracking
from warehouse.database import Database

ENTITY = "model"
PROMOTED, REFUSED, ROLLED_BACK = "model_promoted", "model_refused", "model_rolled_back"
# There was too little to train on; the version is that which scores all the same.
NOT_TRAINED = "model_not_trained"
CHAMPION = "champion"
CHALLENGER = "challenger"


@dataclass(frozen=True)
class Event:
    """One decision about a version, as the audit trail has it."""

    at: datetime
    actor: str
    action: str
    version: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class Rollback:
    """What a rollback did."""

    name: str
    gone: str
    version: str
    reason: str


def record(
    database: Database, action: str, name: str, version: str, detail: dict[str, Any], *, actor: str
) -> None:
    """Adds a decision to ``ops.audit_trail``; ``detail`` holds figures and reasons, no person."""
    with database.connect() as connection:
        connection.execute(
            "insert into ops.audit_trail (at, actor, action, entity, entity_id, detail) "
            "values (%s, %s, %s, %s, %s, %s)",
            [SystemClock().now(), actor, action, ENTITY, f"{name}/{version}", Jsonb(detail)],
        )


def events(database: Database, name: str = tracking.REGISTERED_MODEL) -> list[Event]:
    """Every decision about the model's versions, oldest first."""
    with database.connect() as connection:
        rows = connection.execute(
            "select at, actor, action, entity_id, detail from ops.audit_trail "
            "where entity = %s and starts_with(entity_id, %s) order by audit_id",
            [ENTITY, f"{name}/"],
        ).fetchall()
    return [Event(r[0], r[1], r[2], r[3].rpartition("/")[2], r[4]) for r in rows]


def roll_back(
    database: Database,
    settings: Settings,
    *,
    to: str | None = None,
    reason: str = "",
    actor: str = "command line",
) -> Rollback:
    """Makes an earlier version champion again, and records it.

    The online path follows within ``ml.online.PROMOTION_SECONDS``, batch scores with the next run.

    Args:
        database: holds the audit trail.
        settings: where MLflow is.
        to: the version; by default the champion before the present one.
        reason: why, for the record.
        actor: who.

    Raises:
        LeadEngineError: there is no champion, no earlier one, or no such version; nothing has
            changed then.
    """
    from mlflow.exceptions import MlflowException

    client = tracking.configure(settings, database)
    name = tracking.REGISTERED_MODEL
    try:
        present = str(client.get_model_version_by_alias(name, CHAMPION).version)
    except MlflowException as error:
        raise LeadEngineError(
            f"There is no champion of {name} to roll back from.",
            remedy="Train one: run `leadengine run` or the Dagster job `train`.",
        ) from error
    target = to or _before(events(database, name), present)
    if target is None:
        raise LeadEngineError(
            f"Version {present} of {name} is the first champion: there is none before it.",
            remedy="Name a version with --to; `leadengine model history` lists them.",
        )
    if target == present:
        raise LeadEngineError(
            f"Version {present} of {name} is champion already.", remedy="Name another with --to."
        )
    try:
        client.get_model_version(name, target)
    except MlflowException as error:
        raise LeadEngineError(
            f"There is no version {target!r} of {name}.",
            remedy="`leadengine model history` lists them.",
        ) from error
    decision = f"Rolled back from version {present}." + (f" {reason}" if reason else "")
    client.set_registered_model_alias(name, CHAMPION, target)
    client.set_model_version_tag(name, target, "decision", decision)
    client.set_model_version_tag(name, present, "rolled_back_to", target)
    detail = {"from": present, "to": target, "reason": reason}
    record(database, ROLLED_BACK, name, target, detail, actor=actor)
    return Rollback(name, present, target, reason)


def _before(decisions: list[Event], present: str) -> str | None:
    """The champion before ``present`` that nobody has rolled back from since."""
    champions: list[str] = []
    for event in decisions:
        if event.action == ROLLED_BACK:
            gone = str(event.detail.get("from"))
            champions = [version for version in champions if version not in (gone, event.version)]
            champions.append(event.version)
        elif event.action == PROMOTED:
            champions.append(event.version)
    earlier = champions[: champions.index(present)] if present in champions else champions
    return earlier[-1] if earlier else None
