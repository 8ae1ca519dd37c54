"""Starting a sandbox as a child process, and talking to one that runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any

from leadengine.errors import LeadEngineError
from providers.sandbox.server import bind

_POLL_SECONDS = 0.05
# The first start generates the brokerage; later ones read it.
_START_SECONDS = 180.0


@dataclass(slots=True)
class SandboxProcess:
    """A running sandbox.

    Attributes:
        url: its root, without a trailing slash.
        credentials: the answer of ``GET /_credentials``.
    """

    url: str
    credentials: dict[str, Any]
    process: subprocess.Popen[bytes]

    def stop(self, timeout: float = 10.0) -> None:
        """Ends it and waits; its state stays."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> SandboxProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_sandbox(
    home: Path,
    *,
    port: int | None = None,
    contacts: int = 5000,
    seed: int = 7,
    anchor: date | None = None,
    unlimited: bool = False,
    latency_ms: float = 0.0,
) -> SandboxProcess:
    """Starts a sandbox and waits until it answers. It ends when this process ends.

    Args:
        home: state folder of the engine; the sandbox's own is ``home/sandbox``.
        port: None takes a free one.
        contacts: size of the brokerage; with ``seed`` and ``anchor`` it is fixed per folder.
        seed: of everything drawn.
        anchor: the day (UTC) around which the simulation lies; None: the one kept, else today.
        unlimited: no rate limits, for benchmarks.
        latency_ms: how long every provider call takes at least.

    Raises:
        LeadEngineError: the port is taken, the folder cannot be used, or it did not start.
    """
    # Bound here first, for a clear error, and given up again: the child binds it a moment later.
    with bind(port or 0) as probe:
        number: int = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "providers.sandbox",
        "--home", str(home.absolute()), "--port", str(number),
        "--contacts", str(contacts), "--seed", str(seed),
        "--latency-ms", str(latency_ms), "--parent", str(os.getpid()),
    ]  # fmt: skip
    if anchor is not None:
        command += ["--anchor", anchor.isoformat()]
    if unlimited:
        command.append("--unlimited")
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        url = f"http://127.0.0.1:{number}"
        try:
            _wait_until_ready(process, url, errors)
            return SandboxProcess(url, connect(url), process)
        except BaseException:
            process.kill()
            process.wait()
            raise


def connect(url: str) -> dict[str, Any]:
    """The credentials of a sandbox that runs at ``url``.

    Raises:
        LeadEngineError: none answers there.
    """
    try:
        answer = _get(f"{url.rstrip('/')}/_credentials", timeout=10.0)
    except (OSError, ValueError) as error:
        raise LeadEngineError(
            f"No sandbox answers at {url}: {error}.",
            remedy="Start one with 'leadengine sandbox', or correct SANDBOX_URL.",
        ) from error
    if not isinstance(answer, dict) or "ghl" not in answer:
        raise LeadEngineError(
            f"What answers at {url} is not a sandbox.",
            remedy="Correct SANDBOX_URL, or unset it to have a sandbox started.",
        )
    return answer


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, errors: IO[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace").strip().splitlines()
            raise LeadEngineError(
                f"The sandbox did not start: {said[-1] if said else 'it said nothing'}",
                remedy="Run 'python -m providers.sandbox' to see all it says.",
            )
        try:
            _get(f"{url}/_health", timeout=5.0)
        except (OSError, ValueError):
            time.sleep(_POLL_SECONDS)
        else:
            return
    raise LeadEngineError(
        f"The sandbox did not answer at {url} within {_START_SECONDS:.0f} seconds.",
        remedy="Look at the machine's load, or choose fewer contacts.",
    )


def _get(url: str, timeout: float) -> Any:
    # Straight to the address: a proxy of the environment has no way to our machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise ValueError(f"status {error.code}") from error
