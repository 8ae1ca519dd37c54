"""Where MLflow keeps its records: our own database unless MLFLOW_TRACKING_URI says otherwise."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from leadengine.errors import LeadEngineError
from leadengine.settings import Settings
from warehouse.database import Database

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "lead_conversion"
REGISTERED_MODEL = "lead_conversion"
SCHEMA = "mlflow"
# Any number, the same in every process: guards the first making of MLflow's tables.
_LOCK = 7_301_204_417

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    # Seven tries with growing pauses would hide a wrong address for minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    # An idle pool would keep the embedded server and dropped databases alive.
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


def tracking_uri(settings: Settings, database: Database | None) -> str:
    """MLflow's backend; holds a password when it is our database, so never log it.

    Raises:
        LeadEngineError: neither MLFLOW_TRACKING_URI nor a database is given.
    """
    if settings.mlflow_tracking_uri:
        return settings.mlflow_tracking_uri
    if database is None:
        raise LeadEngineError(
            "There is no place to log the model: MLFLOW_TRACKING_URI is not set.",
            remedy="Set it, or leave it empty and let the engine open its own database.",
        )
    return backend_store_uri(database)


def backend_store_uri(database: Database) -> str:
    """MLflow's tables in our database, as an address; holds a password, so never log it."""
    return database.sqlalchemy_url(driver="psycopg2", schema=SCHEMA)


def artifact_root(settings: Settings) -> str:
    """Where plots and models go, as a URI, unless a remote server decides."""
    return (settings.home / "mlflow" / "artifacts").as_uri()


def configure(settings: Settings, database: Database | None = None) -> "MlflowClient":
    """Points MLflow at its backend, made on first use, and returns a client of it.

    Safe when several processes do it at once. Takes about 1 s the first time.

    Raises:
        LeadEngineError: there is no backend, or it cannot be used.
    """
    uri = tracking_uri(settings, database)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if uri.startswith(("file:", "/", ".")):
        # MLflow asks whoever still wants folders to say so; setting the address has said it.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    import mlflow

    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    with _environment_kept("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
    ours = None if settings.mlflow_tracking_uri else database
    try:
        # Making the client makes the tables where they are not there yet.
        with _schema(ours) if ours else nullcontext():
            client = mlflow.MlflowClient(uri, uri)
            client.search_experiments(max_results=1)
    except LeadEngineError:
        raise
    # SQLAlchemy, requests and MLflow have no base in common; whichever it is, it is the address.
    except Exception as error:
        raise _unusable(settings, error) from error
    return client


def experiment_id(client: "MlflowClient", settings: Settings, name: str) -> str:
    """The experiment's id; made if absent, with its artifacts below the state folder.

    A remote server decides itself where artifacts go.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        remote = (settings.mlflow_tracking_uri or "").startswith(("http://", "https://"))
        try:
            return client.create_experiment(name, None if remote else artifact_root(settings))
        except MlflowException:
            # Another process made it in between.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise LeadEngineError(
            f"The MLflow experiment {name!r} has been deleted.",
            remedy="Restore it in MLflow, or purge it with `mlflow gc`.",
        )
    return str(found.experiment_id)


@contextmanager
def _environment_kept(*names: str) -> Iterator[None]:
    """Undoes what MLflow writes into the environment.

    It puts the address there, password and all, where every child process would inherit it and
    our own settings would take it for the user's choice.
    """
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _schema(database: Database) -> Iterator[None]:
    """MLflow's schema, with nobody else making its tables meanwhile."""
    with database.connect(autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", (_LOCK,))
        try:
            connection.execute(f"create schema if not exists {SCHEMA}")
            yield
        finally:
            connection.execute("select pg_advisory_unlock(%s)", (_LOCK,))


def _unusable(settings: Settings, error: Exception) -> LeadEngineError:
    where = "the engine's database"
    if settings.mlflow_tracking_uri:
        # Credentials may stand before the host.
        where = settings.mlflow_tracking_uri.split("@")[-1]
    first_line = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
    return LeadEngineError(
        f"MLflow cannot use {where}: {type(error).__name__}: {first_line}",
        remedy="Check MLFLOW_TRACKING_URI (empty: the engine's own database) and that it runs.",
    )
