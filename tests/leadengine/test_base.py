"""Clock, log, progress and child processes."""

import json
import logging
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import psutil
import pytest

from leadengine.clock import FixedClock, SystemClock
from leadengine.errors import LeadEngineError
from leadengine.log import JsonFormatter, configure_logging, get_logger
from leadengine.processes import end_groups, require_free_port
from leadengine.progress import console, progress


def test_clocks_are_aware_and_in_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)
    clock = FixedClock(datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=-5))))
    assert clock.now() == datetime(2026, 1, 1, 17, tzinfo=UTC)
    clock.advance(timedelta(minutes=30))
    assert clock.now() == datetime(2026, 1, 1, 17, 30, tzinfo=UTC)


def test_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        FixedClock(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


def test_json_log_line_can_be_parsed_and_carries_the_traceback() -> None:
    try:
        raise RuntimeError("line one\nline two")
    except RuntimeError as error:
        record = logging.LogRecord(
            "leadengine.x", logging.ERROR, __file__, 1, "it %s", ("broke",),
            (type(error), error, error.__traceback__),
        )  # fmt: skip
    line = json.loads(JsonFormatter().format(record))
    assert (line["level"], line["logger"], line["message"]) == ("error", "leadengine.x", "it broke")
    assert "line two" in line["exception"]


def test_level_governs_our_loggers(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    get_logger("room").info("heard")
    get_logger("room").debug("not heard")
    written = capsys.readouterr().err
    assert json.loads(written)["message"] == "heard"


def test_progress_tells_the_count_where_there_is_no_terminal() -> None:
    with console.capture() as capture, progress("Counting", total=3) as advance:
        advance()
        advance(2)
    assert "Counting: 3 done in" in capture.get()


def test_port_that_is_taken_is_named_with_its_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LeadEngineError, match=f"Port {port} .SERVICE_PORT. is taken") as caught:
            require_free_port(port, "SERVICE_PORT")
    assert "SERVICE_PORT" in caught.value.remedy
    require_free_port(port, "SERVICE_PORT")


def test_a_group_ends_with_what_its_leader_left_behind() -> None:
    script = (
        "import subprocess, sys\n"
        "ignoring = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);'\n"
        "ignoring += 'print(flush=True); time.sleep(60)'\n"
        "child = subprocess.Popen([sys.executable, '-c', ignoring], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
    )
    leader = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert leader.stdout is not None
    orphan = psutil.Process(int(leader.stdout.readline()))
    leader.wait(20)
    assert orphan.is_running()
    end_groups([leader.pid], grace_seconds=0.3)
    psutil.wait_procs([orphan], timeout=10)
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
