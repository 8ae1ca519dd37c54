"""Settings: what fits, what does not, and how that is told."""

import re
from pathlib import Path

import pytest

from leadengine.errors import SettingsError
from leadengine.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
# What load_settings() itself fills in, and what Dagster reads for its schedules.
NOT_IN_THE_FILE = {"SANDBOX_LOCATIONS"}


def names() -> set[str]:
    return {
        (field.alias or name).upper() for name, field in Settings.model_fields.items()
    } - NOT_IN_THE_FILE


def test_the_example_file_names_every_setting_and_no_other() -> None:
    written = set(re.findall(r"^([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert written == names()


def test_no_secret_has_a_value_in_the_example_file() -> None:
    for line in (ROOT / ".env.example").read_text().splitlines():
        name, _, value = line.partition("=")
        if re.search(r"TOKEN|KEY|SECRET|SID|PASSWORD|DATABASE_URL", name) and line[0] != "#":
            assert value == "", name


def test_the_example_file_loads(tmp_path: Path) -> None:
    settings = load_settings(_env_file=ROOT / ".env.example")
    assert settings.database_url is None
    assert not settings.has_live_credentials


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("GHL_BASE_URL", "services.example.com", "GHL_BASE_URL does not fit.*must start with http"),
        ("SANDBOX_URL", "localhost:8900", "SANDBOX_URL does not fit"),
        ("SERVICE_PORT", "99999", "SERVICE_PORT does not fit.*65535"),
        ("SERVICE_PORT", "eighty", "SERVICE_PORT does not fit.*integer"),
        ("SANDBOX_CONTACTS", "3", "SANDBOX_CONTACTS does not fit.*20"),
        ("LABEL_DAYS", "0", "LABEL_DAYS does not fit"),
        ("WRITEBACK_TIERS", "hot,boiling", "WRITEBACK_TIERS does not fit.*boiling"),
    ],
)
def test_value_that_does_not_fit_is_named_with_its_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=expected) as caught:
        load_settings(_env_file=None)
    assert name in caught.value.remedy


def test_empty_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("SERVICE_PORT", "")
    settings = load_settings(_env_file=None)
    assert settings.database_url is None
    assert settings.service_port == 8000


@pytest.mark.parametrize(
    ("variables", "missing"),
    [({}, "GHL_TOKEN"), ({"GHL_TOKEN": "t"}, "GHL_LOCATION_ID")],
)
def test_missing_location_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], missing: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{missing} is not set"):
        load_settings(_env_file=None).locations()


def test_one_location_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GHL_TOKEN", "very-secret")
    monkeypatch.setenv("GHL_LOCATION_ID", "loc1")
    settings = load_settings(_env_file=None)
    assert [location.location_id for location in settings.locations()] == ["loc1"]
    assert "very-secret" not in repr(settings) + repr(settings.locations())


GOOD = """
- id: loc1
  name: North
  timezone: America/Chicago
  from_number: "+15555550100"
  token_variable: NORTH_TOKEN
- id: loc2
  token_variable: SOUTH_TOKEN
"""


def test_locations_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "locations.yaml"
    file.write_text(GOOD)
    monkeypatch.setenv("NORTH_TOKEN", "n")
    monkeypatch.setenv("SOUTH_TOKEN", "s")
    settings = load_settings(_env_file=None, ghl_locations=file)
    first, second = settings.locations()
    assert (first.location_id, first.timezone, first.from_number) == (
        "loc1", "America/Chicago", "+15555550100",
    )  # fmt: skip
    assert second.token.get_secret_value() == "s"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("just words", "is not a list"),
        ("[", "is not YAML"),
        ("- id: a", "entry 1 lacks id or token_variable"),
        ("- {id: a, token_variable: NOT_THERE}", "NOT_THERE, which is not set"),
        ("- {id: a, token_variable: HOME, from_number: [1]}", "entry 1 is not right"),
    ],
)
def test_locations_file_that_is_not_right(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "locations.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=expected):
        load_settings(_env_file=None, ghl_locations=file).locations()


def test_locations_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml cannot be read"):
        load_settings(_env_file=None, ghl_locations=tmp_path / "none.yaml").locations()
