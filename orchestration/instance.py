"""Dagster's own state: in our database's schema ``dagster``, logs under the state folder."""

import os
import socket
from pathlib import Path

import dagster as dg
import psutil
import yaml

from leadengine.log import get_logger
from leadengine.settings import Settings
from warehouse.database import Database

log = get_logger(__name__)

OWNER_TAG = "leadengine/owner"
_URL_VARIABLE = "LEADENGINE_DAGSTER_PG_URL"


def prepare_dagster_home(settings: Settings, database: Database) -> dict[str, str]:
    """Writes ``dagster.yaml`` and returns the variables that point Dagster's processes to it."""
    home = settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    config = {
        "storage": {"postgres": {"postgres_url": {"env": _URL_VARIABLE}}},
        "local_artifact_storage": {
            "module": "dagster._core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(home)},
        },
        # dbt writes one target folder and the loads share cursors: one run at a time.
        "concurrency": {"runs": {"max_concurrent_runs": 1}, "pools": {"default_limit": 1}},
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
    }
    path = home / "dagster.yaml"
    text = yaml.safe_dump(config, sort_keys=False)
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")
    return {
        "DAGSTER_HOME": str(home),
        _URL_VARIABLE: database.sqlalchemy_url(driver="psycopg2", schema="dagster"),
    }


def write_workspace(settings: Settings, code_socket: Path) -> Path:
    """Writes the workspace of processes that share one code server, and returns its path."""
    server = {"socket": str(code_socket), "location_name": "leadengine"}
    path = settings.home / "dagster" / "workspace.yaml"
    path.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}), "utf-8")
    return path


def open_instance(settings: Settings, database: Database) -> dg.DagsterInstance:
    """The instance that this process records its runs in.

    Runs of processes that were killed are closed first: nothing else will ever end them.
    """
    os.environ.update(prepare_dagster_home(settings, database))
    instance = dg.DagsterInstance.get()
    _close_abandoned_runs(instance)
    _free_abandoned_slots(instance)
    return instance


def owner_tag() -> dict[str, str]:
    """Marks a run as this process's."""
    process = psutil.Process()
    return {OWNER_TAG: f"{socket.gethostname()}:{process.pid}:{process.create_time():.0f}"}


def _close_abandoned_runs(instance: dg.DagsterInstance) -> None:
    unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    for run in instance.get_runs(unfinished):
        owner = run.tags.get(OWNER_TAG)
        if owner is not None and not _alive(owner):
            log.warning("closing run %s: its process ended before it did", run.run_id[:8])
            instance.report_run_failed(run, "The process that executed this run was killed.")


def _free_abandoned_slots(instance: dg.DagsterInstance) -> None:
    """Gives back what finished runs still hold of a pool; every later run would wait for it."""
    storage = instance.event_log_storage
    for pool in storage.get_concurrency_keys():
        claims = storage.get_concurrency_info(pool)
        for run_id in claims.active_run_ids | claims.pending_run_ids:
            run = instance.get_run_by_id(run_id)
            if run is None or run.is_finished:
                storage.free_concurrency_slots_for_run(run_id)


def _alive(owner: str) -> bool:
    host, pid, started = owner.rsplit(":", 2)
    if host != socket.gethostname():
        return True  # another machine's run is not ours to judge
    try:
        return f"{psutil.Process(int(pid)).create_time():.0f}" == started
    except psutil.NoSuchProcess:
        return False
