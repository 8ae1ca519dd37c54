"""Runs the sandbox under uvicorn, with a transport that can drop an answer."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from datetime import date
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from leadengine.errors import LeadEngineError
from providers.sandbox.app import create_app


class DroppingProtocol(HttpToolsProtocol):
    """Hands the application a way to cut the connection."""

    def on_message_begin(self) -> None:
        """Adds ``abort`` to the state of the request's scope."""
        super().on_message_begin()
        self.scope["state"]["abort"] = self.transport.abort


def bind(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; port 0 takes a free one.

    Raises:
        LeadEngineError: the port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise LeadEngineError(
            f"The sandbox cannot listen on port {port}: {error.strerror}.",
            remedy="Choose another port, or stop the program that uses it.",
        ) from error
    return listener


def serve(
    home: Path,
    listener: socket.socket,
    *,
    contacts: int,
    seed: int,
    anchor: date | None = None,
    unlimited: bool = False,
    latency: float = 0.0,
) -> None:
    """Serves until it is told to stop. ``home/sandbox`` keeps the state."""
    app = create_app(home / "sandbox", contacts, seed, anchor, unlimited=unlimited, latency=latency)
    config = uvicorn.Config(
        app,
        http=DroppingProtocol,
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
    )
    # The server raises the signal that ended it again, once it is done: end as any program does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.Server(config).run(sockets=[listener])


def end_with_parent(parent: int) -> None:
    """Lets this process end when process ``parent`` does, however that dies."""

    # Not by prctl(PR_SET_PDEATHSIG): that strikes when the starting *thread* ends.
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()
