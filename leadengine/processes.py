"""Child processes that end with their parent."""

import ctypes
import signal
import socket
import sys

from leadengine.errors import LeadEngineError

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """For ``preexec_fn``: the kernel ends the child when its parent dies, even by SIGKILL.

    Only Linux offers this; elsewhere a killed parent leaves its children running.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


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
