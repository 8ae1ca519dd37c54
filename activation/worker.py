"""The long-running worker: sends what is due, settles what is open, hears what came back."""

from __future__ import annotations

import signal
import threading
from types import FrameType

import psycopg

from activation.dispatch import DispatchHalted, dispatch_due
from activation.enrollments import advance_due
from activation.inbound import handle_events
from activation.policy import DispatchPolicy, policy_for
from activation.preflight import Preflight
from activation.receipts import sync_receipts
from activation.settle import LookupMemory
from leadengine.clock import Clock
from leadengine.errors import DatabaseUnavailableError, LeadEngineError
from leadengine.log import get_logger
from leadengine.settings import Settings
from providers.errors import ProviderError
from providers.factory import Clients
from warehouse.database import Database

_log = get_logger("activation.worker")
_ROUND_SECONDS = 5.0
_TROUBLE_SECONDS = 30.0


def run_worker(
    database: Database,
    clients: Clients,
    settings: Settings,
    clock: Clock,
    *,
    stop: threading.Event | None = None,
    policy: DispatchPolicy | None = None,
    every: float = _ROUND_SECONDS,
) -> None:
    """Works until ``stop`` is set, or the process is told to end by SIGTERM or SIGINT.

    Trouble (a database that restarts, a CRM that does not answer, an account that is refused) is
    logged and waited out; nothing queued is lost by it. Several workers may run at once.

    Args:
        database: with the queue.
        clients: the providers.
        settings: senders and addresses.
        clock: tells the time.
        stop: ends the loop after the round at hand.
        policy: patience; the default suits the settings.
        every: seconds between rounds.
    """
    ending = stop or threading.Event()
    if stop is None:
        _end_on_signals(ending)
    policy = policy or policy_for(settings)
    preflight, memory = Preflight(), LookupMemory()
    while not ending.is_set():
        pause = every
        try:
            report = dispatch_due(
                database,
                clients,
                settings,
                clock,
                policy=policy,
                preflight=preflight,
                memory=memory,
            )
            sync_receipts(database, clock)
            handle_events(database, settings, clock)
            if report.sent or report.cancelled or report.rejected or report.settled.found:
                _log.info("worker round: %s", report.as_dict())
            # Last, after replies have been heard; trouble with later steps keeps nothing waiting.
            moved = advance_due(database, settings, clock)
            if moved.queued or moved.ended:
                _log.info("journeys: %s", moved.as_dict())
        except DispatchHalted as error:
            _log.error("%s", error)
            pause = _TROUBLE_SECONDS
        except (ProviderError, DatabaseUnavailableError, psycopg.Error) as error:
            _log.warning("waiting: %s", str(error).splitlines()[0])
            pause = _TROUBLE_SECONDS
        except LeadEngineError as error:
            _log.error("%s", error)
            pause = _TROUBLE_SECONDS
        ending.wait(pause)


def _end_on_signals(ending: threading.Event) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        ending.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
