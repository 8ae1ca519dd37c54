"""``leadengine up``: the long-running stack; ``leadengine worker``: the part that sends."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import httpx
from rich.table import Table

from leadengine.cli.context import engine, migrated_database, provider_settings
from leadengine.cli.docs import serve_arguments
from leadengine.errors import LeadEngineError
from leadengine.processes import die_with_parent, end_groups, require_free_port
from leadengine.progress import console
from leadengine.settings import Settings
from warehouse.database import Database

# Each process imports a good part of the engine; on two busy cores that adds up.
_START_SECONDS = 240
_STOP_SECONDS = 20
_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Service:
    """One process of the stack."""

    name: str
    arguments: list[str]
    url: str | None = None
    health: str | None = None
    socket: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)


def up() -> None:
    """Runs database, sandbox if needed, service, worker, Dagster and MLflow until Ctrl-C."""
    settings, database = migrated_database()
    for port, name in (
        (settings.service_port, "SERVICE_PORT"),
        (settings.dagster_port, "DAGSTER_PORT"),
        (settings.mlflow_port, "MLFLOW_PORT"),
        (settings.docs_port, "DOCS_PORT"),
    ):
        require_free_port(port, name)
    # A path of its own: that of a socket may not pass 107 characters.
    with (
        provider_settings(settings) as resolved,
        tempfile.TemporaryDirectory(prefix="leadengine-code-") as sockets,
    ):
        services = list(_services(settings, database, Path(sockets) / "dagster"))
        logs = settings.home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with _running(services, logs) as processes:
            for service in services:
                _wait_until_healthy(service, processes, logs)
            if resolved.uses_sandbox:
                _take_webhooks(resolved)
            _print_addresses(services, resolved, logs)
            _watch(processes, logs)


def _services(settings: Settings, database: Database, code_socket: Path) -> Iterator[Service]:
    from ml.tracking import artifact_root, backend_store_uri
    from orchestration.docs import write_index
    from orchestration.instance import prepare_dagster_home, write_workspace

    bin_dir = Path(sys.executable).parent
    dagster = prepare_dagster_home(settings, database)
    service = f"http://localhost:{settings.service_port}"
    yield Service(
        "service",
        [sys.executable, "-m", "uvicorn", "service.app:create_app", "--factory",
         "--host", "127.0.0.1", "--port", str(settings.service_port), "--log-level", "warning"],
        url=service,
        health=f"{service}/health/live",
    )  # fmt: skip
    yield Service("worker", [sys.executable, "-m", "leadengine", "worker"])
    # One server of our code for the pages and the daemon, which would each start their own
    # otherwise, the daemon a new one every minute.
    workspace = str(write_workspace(settings, code_socket))
    yield Service(
        "dagster code",
        [str(bin_dir / "dagster"), "code-server", "start", "-m", "orchestration.definitions",
         "-d", str(_ROOT), "--socket", str(code_socket)],
        socket=code_socket,
        environment=dagster,
    )  # fmt: skip
    web = f"http://localhost:{settings.dagster_port}"
    yield Service(
        "dagster",
        [str(bin_dir / "dagster-webserver"), "-w", workspace,
         "-h", "127.0.0.1", "-p", str(settings.dagster_port)],
        url=web,
        health=f"{web}/server_info",
        environment=dagster,
    )  # fmt: skip
    yield Service(
        "dagster daemon",
        [str(bin_dir / "dagster-daemon"), "run", "-w", workspace],
        environment=dagster,
    )
    write_index(settings)
    pages = f"http://localhost:{settings.docs_port}"
    yield Service("docs", serve_arguments(settings), url=pages, health=pages)
    if not settings.mlflow_tracking_uri:
        mlflow = f"http://localhost:{settings.mlflow_port}"
        yield Service(
            "mlflow",
            [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1",
             "--port", str(settings.mlflow_port), "--workers", "1"],
            url=mlflow,
            health=f"{mlflow}/health",
            # By the environment, not the arguments, which every user of the machine can list.
            environment={
                "MLFLOW_BACKEND_STORE_URI": backend_store_uri(database),
                "MLFLOW_ARTIFACTS_DESTINATION": artifact_root(settings),
                # Eight more processes of 250 MB for a feature that nothing here uses.
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            },
        )  # fmt: skip


@contextmanager
def _running(services: list[Service], logs: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    processes: dict[str, subprocess.Popen[bytes]] = {}

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        for service in services:
            with _log_file(logs, service.name).open("ab") as output:
                processes[service.name] = subprocess.Popen(
                    service.arguments,
                    env=dict(os.environ) | service.environment,
                    cwd=_ROOT,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )
            if service.socket is not None:  # those after it look for it when they start
                _wait_until_healthy(service, processes, logs)
        yield processes
    finally:
        for process in processes.values():
            process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for process in processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        end_groups([process.pid for process in processes.values()], _STOP_SECONDS)


def _log_file(logs: Path, name: str) -> Path:
    return logs / f"up-{name.replace(' ', '-')}.log"


def _wait_until_healthy(
    service: Service, processes: dict[str, subprocess.Popen[bytes]], logs: Path
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    waiting = False
    while not _answers(service):
        if not waiting:
            console.print(f"Starting {service.name} ...")
            waiting = True
        _require_alive(service.name, processes[service.name], logs)
        if time.monotonic() > deadline:
            raise LeadEngineError(
                f"{service.name} did not answer within {_START_SECONDS} s.",
                remedy=f"Read the end of {_log_file(logs, service.name)}.",
            )
        time.sleep(0.3)


def _answers(service: Service) -> bool:
    """Whether the service can be used; one that listens to nobody always can."""
    try:
        if service.socket is not None:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(service.socket))
        return service.health is None or httpx.get(service.health, timeout=2).is_success
    except (OSError, httpx.TransportError):
        return False


def _require_alive(name: str, process: subprocess.Popen[bytes], logs: Path) -> None:
    if process.poll() is not None:
        raise LeadEngineError(
            f"{name} ended with exit code {process.returncode}.",
            remedy=f"Read the end of {_log_file(logs, name)}.",
        )


def _take_webhooks(settings: Settings) -> None:
    """Tells the sandbox where to post, as one does in the providers' consoles."""
    for provider, path in (("twilio", "twilio/sms"), ("sendgrid", "sendgrid/events")):
        address = f"{settings.public_url}/webhooks/{path}"
        answer = httpx.post(
            f"{settings.sandbox_url}/_webhooks",
            json={"provider": provider, "url": address},
            timeout=10,
        )
        answer.raise_for_status()


def _print_addresses(services: list[Service], settings: Settings, logs: Path) -> None:
    table = Table("part", "address", box=None)
    for service in services:
        table.add_row(service.name, service.url or "(no page)")
    if settings.uses_sandbox:
        table.add_row("sandbox", f"{settings.sandbox_url}/_ledger/messages")
    console.print(table)
    console.print(f"Logs are in {logs}. Ctrl-C stops everything.", soft_wrap=True)


def _watch(processes: dict[str, subprocess.Popen[bytes]], logs: Path) -> None:
    while True:
        for name, process in processes.items():
            _require_alive(name, process, logs)
        time.sleep(1)


def worker() -> None:
    """Sends what is due and settles what is open, until it is stopped."""
    from activation.worker import run_worker

    with engine() as opened:
        run_worker(opened.database, opened.clients, opened.settings, opened.clock)
