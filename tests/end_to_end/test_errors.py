"""Bad settings: one clear sentence, a remedy, exit 1, and never a traceback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """One command with a state folder and settings of its own."""
    return subprocess.run(
        [sys.executable, "-m", "leadengine", *arguments],
        cwd=ROOT,
        env=os.environ | {"LEADENGINE_HOME": str(home), "COLUMNS": "250"} | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("command", "variables", "expected"),
    [
        (["run"], {"GHL_BASE_URL": "nonsense"}, "GHL_BASE_URL does not fit"),
        (["run"], {"GHL_LOCATIONS": "/nowhere.yaml"}, "GHL_LOCATIONS=/nowhere.yaml cannot be read"),
        (["doctor"], {"SERVICE_PORT": "0"}, "SERVICE_PORT does not fit"),
        (["run"], {"SANDBOX_URL": "http://127.0.0.1:1"}, "127.0.0.1:1"),
        (["run"], {"DATABASE_URL": "postgresql://u@127.0.0.1:1/x"}, "127.0.0.1:1 cannot be used"),
        (["run"], {"LEADENGINE_HOME": "/proc/no"}, "LEADENGINE_HOME=/proc/no cannot be written"),
        (["batch", "show", "not-an-id"], {}, "'not-an-id' is not the id of a batch"),
        (["explain-send", "not-an-id"], {}, "'not-an-id' is not the id of a message"),
        (["score", "--lead", "loc:nobody"], {}, ""),
    ],
)
def test_bad_setting_is_told_in_two_lines(
    tmp_path: Path, command: list[str], variables: dict[str, str], expected: str
) -> None:
    result = run(tmp_path / "state", *command, **variables)
    told = " ".join(result.stderr.split())
    assert result.returncode == 1
    assert expected in told
    assert "Error:" in told
    assert "Remedy:" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("command", "variable"), [(["up"], "SERVICE_PORT"), (["sandbox", "--port"], "port")]
)
def test_port_that_is_taken_is_named(tmp_path: Path, command: list[str], variable: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        arguments = [*command, port] if command[-1] == "--port" else command
        result = run(tmp_path / "state", *arguments, SERVICE_PORT=port)
    told = " ".join(result.stderr.split())
    assert result.returncode == 1
    assert f"ort {port}" in told
    assert "taken" in told or "in use" in told
    assert "Traceback" not in told


def test_doctor_says_what_is_wrong_and_exits_1(tmp_path: Path) -> None:
    result = run(tmp_path / "state", "doctor", GHL_TOKEN="x", GHL_BASE_URL="http://127.0.0.1:1")
    assert result.returncode == 1
    assert "GHL_LOCATION_ID is not set" in result.stdout
    assert "There is no champion" in result.stdout or "migrat" in result.stdout
