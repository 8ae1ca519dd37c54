"""The model that scores: the champion of the registry or, while there is none, the rules score."""

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leadengine.errors import LeadEngineError
from leadengine.settings import Settings
from ml import registry, rules_score, tracking
from ml.history import CHALLENGER, CHAMPION
from ml.model import LeadModel
from warehouse.database import Database

if TYPE_CHECKING:
    from mlflow import MlflowClient

_loaded: dict[tuple[str, str], "Champion"] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class Champion:
    """A model that scores, with its name and version."""

    model: LeadModel = field(repr=False)
    name: str
    version: str

    @property
    def by_rules(self) -> bool:
        """Whether it is the rules score, for want of a model."""
        return self.name == rules_score.NAME


def has_champion(settings: Settings, database: Database) -> bool:
    """Whether ``lead_conversion`` has a champion.

    Raises:
        LeadEngineError: MLflow cannot be used.
    """
    return _champion_version(settings, database) is not None


def load_champion(settings: Settings, database: Database) -> Champion:
    """The champion in native form; fetched once per version and process.

    Raises:
        LeadEngineError: there is none, or MLflow cannot be used.
    """
    version = _champion_version(settings, database)
    if version is None:
        raise LeadEngineError(
            no_champion(settings, database),
            remedy="Train one: run `leadengine run` or the Dagster job `train`; `leadengine model"
            " history` lists every decision.",
        )
    return load_version(settings, database, version)


def load_scorer(settings: Settings, database: Database) -> Champion:
    """What leads are scored with: the champion, or the rules score while there is none.

    Raises:
        LeadEngineError: MLflow cannot be used, or there is no champion and the warehouse is not
            built.
    """
    version = _champion_version(settings, database)
    if version is not None:
        return load_version(settings, database, version)
    rules = rules_score.newest_rules_score(database)
    if rules is None or not rules.is_current:
        rules = rules_score.renew_rules_score(database, no_champion(settings, database))
    return Champion(rules.model, rules_score.NAME, rules.version)


def load_version(settings: Settings, database: Database, version: str) -> Champion:
    """A version of ``lead_conversion``, or of the rules score; fetched once per process.

    Raises:
        LeadEngineError: there is no such version, or MLflow cannot be used.
    """
    if rules_score.is_rules(version):
        return Champion(rules_score.rules_version(database, version), rules_score.NAME, version)
    uri = tracking.tracking_uri(settings, database)
    with _lock:
        if (uri, version) not in _loaded:
            name = tracking.REGISTERED_MODEL
            model = registry.load_model(f"models:/{name}/{version}", settings, database)
            _loaded[uri, version] = Champion(model, name, version)
        return _loaded[uri, version]


def no_champion(settings: Settings, database: Database) -> str:
    """Why there is no champion, in a sentence or two."""
    said = f"There is no champion of {tracking.REGISTERED_MODEL}"
    if not _has_registry(settings, database):
        return f"{said}."
    client = tracking.configure(settings, database)
    refused = alias_version(client, CHALLENGER)
    if refused is None:
        return f"{said}."
    tags = client.get_model_version(tracking.REGISTERED_MODEL, refused).tags
    return f"{said}: version {refused} did not pass the gates. {tags.get('decision', '')}".rstrip()


def alias_version(client: "MlflowClient", alias: str) -> str | None:
    """The version of ``lead_conversion`` that has an alias; None where none has."""
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_model_version_by_alias(tracking.REGISTERED_MODEL, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    return str(found.version)


def _champion_version(settings: Settings, database: Database) -> str | None:
    if not _has_registry(settings, database):
        return None
    return alias_version(tracking.configure(settings, database), CHAMPION)


def _has_registry(settings: Settings, database: Database) -> bool:
    """Whether MLflow need be asked at all: a new database is told by a look.

    That saves MLflow's three seconds of import.
    """
    return settings.mlflow_tracking_uri is not None or _has_mlflow_tables(database)


def _has_mlflow_tables(database: Database) -> bool:
    with database.connect() as connection:
        row = connection.execute(
            "select to_regclass(%s) is not null", [f"{tracking.SCHEMA}.registered_model_aliases"]
        ).fetchone()
    return bool(row and row[0])
