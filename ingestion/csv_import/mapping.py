"""The YAML file that says which column of an export is what.

.. code-block:: yaml

    location_id: x-education        # required: the location that the leads belong to
    columns:                        # our field: the file's column
      external_id: Prospect ID      # required: names the lead within the location
      first_name: First             # optional, as are all below
      last_name: Last
      email: Email
      phone: Phone
      source: Lead Source
      created_at: Created           # when the lead came in
      outcome: Converted            # whether it converted; empty: not known yet
      outcome_at: Closed            # when that was known
    attributes: all                 # keep the other columns: all, none (default), or a list
    values:                         # what the file's values mean, exactly as written there
      outcome: {"1": true, "0": false}
    formats:                        # of times that are not ISO 8601, as strptime has them
      created_at: "%m/%d/%Y"
    timezone: America/New_York      # of times without a zone; UTC by default
"""

from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from leadengine.errors import LeadEngineError

FIELDS = (
    "external_id",
    "first_name",
    "last_name",
    "email",
    "phone",
    "source",
    "created_at",
    "outcome",
    "outcome_at",
)
TIMES = ("created_at", "outcome_at")
_KEYS = ("location_id", "columns", "attributes", "values", "formats", "timezone")
_YES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_SEE = "docs/examples/x-education.yaml is an example of a map."


class MapError(LeadEngineError):
    """A map cannot be used; names the key."""


@dataclass(frozen=True)
class ImportMap:
    """A checked map.

    Attributes:
        location_id: the location that the leads belong to.
        columns: our field to the file's column.
        attributes: columns to keep as attributes; None for all that are not mapped.
        outcomes: the file's outcome values to whether the lead converted; empty: 1/0, yes/no,
            true/false, won/lost.
        sources: the file's sources to ours; a source that is not named stays as it is.
        formats: strptime format per time field.
        timezone: IANA zone of times without one.
    """

    location_id: str
    columns: dict[str, str]
    attributes: tuple[str, ...] | None = ()
    outcomes: dict[str, bool] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    formats: dict[str, str] = field(default_factory=dict)
    timezone: str = "UTC"

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        data = asdict(self)
        data["attributes"] = "all" if self.attributes is None else list(self.attributes)
        return data

    def check_header(self, path: Path, header: list[str]) -> None:
        """Sees that the file has every column that the map names.

        Raises:
            MapError: names the columns that it lacks.
        """
        wanted = [*self.columns.values(), *(self.attributes or ())]
        missing = [name for name in wanted if name not in header]
        if missing:
            near = [n for m in missing for n in get_close_matches(m, header, n=1, cutoff=0.5)]
            hint = f"Did you mean {', '.join(map(repr, near))}? " if near else ""
            raise MapError(
                f"{path} has no column {', '.join(map(repr, missing))}, which the map names.",
                remedy=f"{hint}Its columns are: {', '.join(header)}.",
            )


def read_map(path: Path) -> ImportMap:
    """Reads and checks a map.

    Raises:
        MapError: no such file, not YAML, or a key that is missing, unknown or of a wrong kind.
    """
    data = _load(path)
    _only(path, "the map", data, _KEYS)
    location = data.get("location_id")
    if not isinstance(location, str) or not location.strip():
        raise MapError(f"{path} lacks location_id.", remedy=f"Name the location. {_SEE}")
    columns = _table(path, "columns", data.get("columns"))
    _only(path, "columns", columns, FIELDS)
    if not columns.get("external_id"):
        raise MapError(
            f"{path} lacks columns.external_id.",
            remedy=f"Name the column that identifies a lead. {_SEE}",
        )
    empty = [name for name, column in columns.items() if not column]
    if empty:
        raise MapError(
            f"{path}: columns.{empty[0]} names no column.", remedy="Name one, or leave it out."
        )
    values = data.get("values") or {}
    if not isinstance(values, dict):
        raise MapError(f"{path}: values is not a table.", remedy=_SEE)
    _only(path, "values", values, ("outcome", "source"))
    return ImportMap(
        location_id=location.strip(),
        columns=columns,
        attributes=_attributes(path, data.get("attributes", "none")),
        outcomes=_outcomes(path, _table(path, "values.outcome", values.get("outcome", {}))),
        sources=_table(path, "values.source", values.get("source", {})),
        formats=_formats(path, _table(path, "formats", data.get("formats", {}))),
        timezone=_timezone(path, data.get("timezone", "UTC")),
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        # The base loader leaves every value as it is written: `yes` and 1 stay text, as in the
        # file that they are compared with. It makes nothing but text, lists and tables.
        data = yaml.load(path.read_text("utf-8"), yaml.BaseLoader)  # noqa: S506
    except FileNotFoundError as error:
        raise MapError(f"There is no map {path}.", remedy=f"Check the path. {_SEE}") from error
    except OSError as error:
        raise MapError(
            f"The map {path} cannot be read: {error.strerror}.", remedy="Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise MapError(f"The map {path} is not UTF-8 text.", remedy="Save it as UTF-8.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" on line {mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or "it cannot be parsed"
        raise MapError(f"The map {path} is not YAML{where}: {what}.", remedy=_SEE) from error
    if not isinstance(data, dict):
        raise MapError(f"The map {path} holds no keys.", remedy=_SEE)
    return data


def _only(path: Path, where: str, data: dict[str, Any], known: tuple[str, ...]) -> None:
    unknown = [key for key in data if key not in known]
    if unknown:
        near = get_close_matches(unknown[0], known, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise MapError(
            f"{path}: {where} has the unknown key {', '.join(map(repr, unknown))}.",
            remedy=f"{hint}Known are: {', '.join(known)}.",
        )


def _table(path: Path, name: str, value: Any) -> dict[str, str]:
    if value is None or not isinstance(value, dict):
        raise MapError(f"{path}: {name} is not a table of keys and values.", remedy=_SEE)
    nested = [key for key, entry in value.items() if not isinstance(entry, str)]
    if nested:
        raise MapError(f"{path}: {name}.{nested[0]} is not a single value.", remedy=_SEE)
    return dict(value)


def _attributes(path: Path, value: Any) -> tuple[str, ...] | None:
    if value == "all":
        return None
    if value in ("none", ""):
        return ()
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise MapError(
        f"{path}: attributes is neither all nor none nor a list of columns.", remedy=_SEE
    )


def _outcomes(path: Path, table: dict[str, str]) -> dict[str, bool]:
    odd = [f"{key!r}: {entry!r}" for key, entry in table.items() if entry.lower() not in _YES]
    if odd:
        raise MapError(
            f"{path}: values.outcome says neither true nor false for {odd[0]}.",
            remedy="Map each value of the file to true or false.",
        )
    return {key.strip(): _YES[entry.lower()] for key, entry in table.items()}


def _formats(path: Path, table: dict[str, str]) -> dict[str, str]:
    _only(path, "formats", table, TIMES)
    return table


def _timezone(path: Path, value: Any) -> str:
    try:
        return ZoneInfo(str(value)).key
    except (KeyError, ValueError, OSError) as error:
        raise MapError(
            f"{path}: timezone {value!r} is not known.",
            remedy="Give an IANA name such as America/New_York.",
        ) from error
