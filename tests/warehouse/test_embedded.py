"""The embedded server: one per state folder, shared, and never lost by a kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from leadengine.errors import DatabaseUnavailableError, SettingsError
from leadengine.settings import load_settings
from warehouse.embedded import EmbeddedPostgres

HOLD = """
import sys, time
from leadengine.settings import load_settings
from warehouse.database import open_database
database = open_database(load_settings(_env_file=None))
with database.connect() as connection:
    connection.execute("create table if not exists kept (n int)")
    connection.execute("insert into kept values (1)")
print("ready", flush=True)
time.sleep(float(sys.argv[1]))
"""


def hold(home: Path, seconds: float) -> subprocess.Popen[str]:
    """Another process that uses the server for ``seconds``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(seconds)],
        env=os.environ | {"LEADENGINE_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def answers(server: EmbeddedPostgres) -> bool:
    try:
        psycopg.connect(host=str(server.socket_dir), user="leadengine", dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_last_user_stops_the_server(home: Path) -> None:
    first = hold(home, 0.2)
    server = EmbeddedPostgres(home)
    server.start()
    first.wait(10)
    assert answers(server), "the first process took the server with it"
    server.release()
    assert not answers(server)


def test_committed_rows_survive_sigkill_of_every_process(home: Path) -> None:
    holder = hold(home, 60)
    server = EmbeddedPostgres(home)
    # The process group first, as a terminal or a container would, then the server itself.
    os.killpg(holder.pid, signal.SIGKILL)
    holder.wait(10)
    postmaster = int((home / "postgres" / "data" / "postmaster.pid").read_text().split("\n")[0])
    os.kill(postmaster, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while answers(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    second = hold(home, 0)
    second.wait(20)
    server.start()
    with psycopg.connect(
        host=str(server.socket_dir), user="leadengine", dbname="postgres"
    ) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (2,)
    server.release()


def test_lock_files_that_name_a_living_stranger_do_not_keep_it_from_starting(home: Path) -> None:
    server = EmbeddedPostgres(home)
    server.start()
    server.release()
    # PostgreSQL minds only processes of its own user.
    owner = (home / "postgres" / "data").stat().st_uid
    stranger = subprocess.Popen(["sleep", "60"], user=owner)
    for lock in (home / "postgres/data/postmaster.pid", server.socket_dir / ".s.PGSQL.5432.lock"):
        lock.write_text(f"{stranger.pid}\n{home}\n0\n5432\n{server.socket_dir}\n\n")
        os.chown(lock, owner, -1)
    server.start()
    assert answers(server)
    server.release()
    stranger.kill()
    stranger.wait()


def test_half_finished_initdb_is_started_over(home: Path) -> None:
    (home / "postgres" / "data.new" / "base").mkdir(parents=True)
    (home / "postgres" / "data.new" / "PG_VERSION").write_text("18")
    server = EmbeddedPostgres(home)
    server.start()
    assert answers(server)
    server.release()


def test_long_path_gets_a_short_private_socket_folder(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / ("x" * 120))
    assert len(str(server.socket_dir / ".s.PGSQL.5432")) <= 107
    assert server.socket_dir != EmbeddedPostgres(tmp_path / ("y" * 120)).socket_dir


def test_only_the_owner_can_enter_the_socket_folder(home: Path) -> None:
    server = EmbeddedPostgres(home)
    server.start()
    assert server.socket_dir.stat().st_mode & 0o077 == 0
    server.release()


def test_server_log_is_named_when_the_server_does_not_start(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = EmbeddedPostgres(home)
    server.start()
    server.release()
    monkeypatch.setattr(EmbeddedPostgres, "_tuning", lambda _self: {"shared_buffers": "nonsense"})
    with pytest.raises(DatabaseUnavailableError, match=r"did not start.*server\.log"):
        server.start()


@pytest.mark.parametrize("where", ["/proc/leadengine", "/dev/null/leadengine"])
def test_folder_that_cannot_be_written_is_named(where: str) -> None:
    settings = load_settings(_env_file=None, leadengine_home=where)
    with pytest.raises(SettingsError, match=f"LEADENGINE_HOME={where} cannot be written"):
        settings.prepare_home()
