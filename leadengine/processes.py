"""Child processes that end with their parent."""

import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Collection

import psutil

from leadengine.errors import LeadEngineError

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """For ``preexec_fn``: the kernel ends the child when its parent dies, even by SIGKILL.

    Only Linux offers this; elsewhere a killed parent leaves its children running.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def end_groups(groups: Collection[int], grace_seconds: float) -> None:
    """Ends all processes of the process groups: asks first, then kills what is left.

    A child that was told to stop may leave its own children behind; they are still of its group.

    Args:
        groups: the groups' ids, each the process id of the one that began it.
        grace_seconds: how long they may take to end by themselves.
    """
    deadline = time.monotonic() + grace_seconds
    left = _members(groups)
    for process in left:
        _signal(process, signal.SIGTERM)
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = _members(groups)
    for process in left:
        _signal(process, signal.SIGKILL)


def _members(groups: Collection[int]) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getpgid(process.pid) in groups and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, PermissionError, psutil.Error):
            continue
    return found


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def require_free_port(port: int, setting: str) -> None:
    """Makes sure that ``port`` can be listened on.

    Raises:
        LeadEngineError: another process listens there already; names the setting to change.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise LeadEngineError(
                f"Port {port} ({setting}) is taken by another process.",
                remedy=f"Stop that process, or set {setting} to a free port.",
            ) from error
