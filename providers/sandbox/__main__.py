"""``python -m providers.sandbox``: the sandbox alone, in the foreground."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

from leadengine.errors import LeadEngineError
from leadengine.log import configure_logging
from providers.sandbox.server import bind, end_with_parent, serve


def main() -> int:
    """Parses the arguments and serves; 1 if it could not start."""
    parser = argparse.ArgumentParser(prog="python -m providers.sandbox", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".leadengine"), help="state folder")
    parser.add_argument("--port", type=int, default=8100, help="0 takes a free one")
    parser.add_argument("--contacts", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--anchor", type=date.fromisoformat, default=None, metavar="YYYY-MM-DD")
    parser.add_argument("--unlimited", action="store_true", help="no rate limits")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="of every provider call")
    parser.add_argument("--parent", type=int, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    configure_logging("INFO", "text")
    if arguments.parent is not None:
        end_with_parent(arguments.parent)
    try:
        listener = bind(arguments.port)
        port = listener.getsockname()[1]
        sys.stdout.write(f"Sandbox (simulated providers) on http://127.0.0.1:{port}\n")
        sys.stdout.flush()
        serve(
            arguments.home,
            listener,
            contacts=arguments.contacts,
            seed=arguments.seed,
            anchor=arguments.anchor,
            unlimited=arguments.unlimited,
            latency=arguments.latency_ms / 1000,
        )
    except KeyboardInterrupt:
        return 0
    except LeadEngineError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
