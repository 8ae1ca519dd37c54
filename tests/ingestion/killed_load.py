"""One load in a process of its own, which a test may kill. Takes its parameters as JSON."""

import json
import sys
from pathlib import Path

import dlt  # noqa: F401 - imported early, so that kills hit the load and not the imports

from ingestion.load import load_source
from leadengine.settings import load_settings
from providers.factory import build_clients
from providers.limits import LocalRateLimiter
from tests.ingestion.conftest import UNLIMITED, scripted_settings
from warehouse.database import Database

if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    settings = scripted_settings(load_settings(_env_file=None), order["url"], Path(order["home"]))
    with build_clients(settings, LocalRateLimiter(), limits=UNLIMITED) as clients:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        load_source(Database(**order["database"]), clients, settings, "ghl")
