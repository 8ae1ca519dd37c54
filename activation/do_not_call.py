"""Do-not-call lists: read from files, kept with source and date, heeded at plan and at send."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import phonenumbers
import psycopg
from psycopg.types.json import Jsonb

from activation.audit import audit
from activation.queries import load_sql
from leadengine.errors import LeadEngineError
from warehouse.copy import copy_rows
from warehouse.database import Database

EVERYWHERE = "*"
Kind = Literal["internal", "national", "state"]
_KINDS = ("internal", "national", "state")
_CHANNELS = ("sms", "email", "call")
_HEADINGS = {"phone", "number", "phone_number", "telephone", "email", "address", "area_code"}
_EMAIL = re.compile(r"[^@\s,;\"<>]+@[^@\s,;\"<>]+\.[^@\s,;\"<>]+")
_MOST_REJECTS_KEPT = 1_000


class ListError(LeadEngineError):
    """A do-not-call list cannot be imported as asked."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, in addresses. ``cancelled`` counts messages that were queued."""

    list_name: str
    kind: str
    channel: str
    read: int
    added: int
    already: int
    removed: int
    rejected: int
    cancelled: int

    def as_dict(self) -> dict[str, Any]:
        """The report, ready for JSON."""
        return asdict(self)


def import_list(
    database: Database,
    path: Path,
    *,
    list_name: str,
    kind: str,
    channel: str,
    now: datetime,
    imported_by: str,
    location_id: str = EVERYWHERE,
    listed_on: date | None = None,
    replace: bool = False,
) -> ImportReport:
    """Reads a list of numbers or emails and cancels what is queued for them.

    A line holds one number, or several fields of which one is a number; the national registry's
    own ``area,number`` is understood, and so is a heading. What is none goes to ``ops.quarantine``.
    Reading the same file twice changes nothing.

    Args:
        database: migrated.
        path: the file; read line by line, whatever its size.
        list_name: names the list, such as ``ftc-2026-11``.
        kind: ``internal``, ``national`` or ``state``.
        channel: ``sms``, ``email`` or ``call``.
        now: the moment, aware.
        imported_by: who does it.
        location_id: whose list it is; ``*`` for every location.
        listed_on: the day the list is of; default: today.
        replace: takes off the list who is not in the file any more.

    Raises:
        ListError: the file cannot be read, holds nothing, or the list is of another kind.
    """
    if kind not in _KINDS:
        raise ListError(f"The kind {kind!r} is unknown.", remedy=f"Use {', '.join(_KINDS)}.")
    if channel not in _CHANNELS:
        raise ListError(
            f"The channel {channel!r} is unknown.", remedy=f"Use {', '.join(_CHANNELS)}."
        )
    digest = hashlib.sha256()
    try:
        file = path.open("rb")
    except OSError as error:
        raise ListError(
            f"The list {path} cannot be read: {error.strerror}.", remedy="Name a file to read."
        ) from error
    with file, database.connect() as connection:
        connection.execute("create temp table listed (address text not null) on commit drop")
        rejects: list[tuple[int, str]] = []
        read = copy_rows(
            connection, "listed", ("address",), _addresses(file, channel, digest, rejects)
        )
        if not read and not rejects:
            raise ListError(f"{path.name} holds no addresses.", remedy="Give one address a line.")
        if not read:
            wanted = "email" if channel == "email" else "number"
            raise ListError(
                f"{path.name}, line {rejects[0][0]}: no {wanted} in any line.",
                remedy="Give one address a line, numbers with their area code.",
            )
        parameters = {
            "list_name": list_name, "kind": kind, "channel": channel, "location_id": location_id,
            "source": path.name, "listed_on": listed_on or now.date(), "now": now,
            "imported_by": imported_by,
        }  # fmt: skip
        _announce(connection, parameters)
        added = connection.execute(load_sql("do_not_call_add"), parameters).rowcount
        removed = 0
        if replace:
            removed = connection.execute(load_sql("do_not_call_remove"), parameters).rowcount
        distinct = connection.execute("select count(distinct address) from listed").fetchone()
        connection.execute(
            "update ops.do_not_call_lists set addresses = (select count(*) from ops.do_not_call"
            " where list_name = %(list_name)s) where list_name = %(list_name)s",
            parameters,
        )
        cancelled = connection.execute(load_sql("do_not_call_cancel"), parameters).rowcount
        _quarantine(connection, path.name, digest.hexdigest(), rejects[:_MOST_REJECTS_KEPT])
        report = ImportReport(
            list_name, kind, channel, read, added, (distinct[0] if distinct else 0) - added,
            removed, len(rejects), cancelled,
        )  # fmt: skip
        audit(
            connection,
            at=now,
            actor=imported_by,
            action="do_not_call_imported",
            entity="do_not_call_list",
            entity_id=list_name,
            location_id=None if location_id == EVERYWHERE else location_id,
            detail=report.as_dict() | {"file_digest": digest.hexdigest()},
        )
    return report


def normalised_address(text: str, channel: str) -> str | None:
    """The number in E.164 or the email in lower case that a line holds; None if it holds none."""
    if channel == "email":
        found = _EMAIL.search(text)
        return found.group().lower() if found else None
    fields = [field.strip(" \"'") for field in re.split(r"[,;\t|]", text)]
    # The national registry writes the area code and the number as two fields.
    if (
        len(fields) >= 2
        and re.fullmatch(r"\d{3}", fields[0])
        and re.fullmatch(r"\d{3}-?\d{4}", fields[1])
    ):
        fields = [fields[0] + fields[1].replace("-", "")]
    for field in fields:
        digits = sum(character.isdigit() for character in field)
        if not 10 <= digits <= 15:
            continue
        try:
            parsed = phonenumbers.parse(field, "US")
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number(parsed):
            return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return None


def _addresses(
    file: Any, channel: str, digest: Any, rejects: list[tuple[int, str]]
) -> Iterator[tuple[str]]:
    for number, raw in enumerate(file, 1):
        digest.update(raw)
        line = raw.decode("utf-8-sig", "replace").strip()
        if not line or line.startswith("#"):
            continue
        address = normalised_address(line, channel)
        if address is not None:
            yield (address,)
        elif not (number == 1 and _is_heading(line)):
            rejects.append((number, line))


def _is_heading(line: str) -> bool:
    words = {word.strip(" \"'").lower().replace(" ", "_") for word in re.split(r"[,;\t|]", line)}
    return bool(words & _HEADINGS)


def _announce(connection: psycopg.Connection, parameters: dict[str, Any]) -> None:
    """Makes the list known, or proves that it is the same one."""
    row = connection.execute(
        "insert into ops.do_not_call_lists (list_name, kind, channel, location_id, source,"
        " listed_on, addresses, imported_at, imported_by) values (%(list_name)s, %(kind)s,"
        " %(channel)s, %(location_id)s, %(source)s, %(listed_on)s, 0, %(now)s, %(imported_by)s)"
        " on conflict (list_name) do update set source = excluded.source,"
        " listed_on = excluded.listed_on, imported_at = excluded.imported_at,"
        " imported_by = excluded.imported_by"
        " returning kind, channel, location_id",
        parameters,
    ).fetchone()
    asked = tuple(parameters[name] for name in ("kind", "channel", "location_id"))
    if row is not None and tuple(row) != asked:
        raise ListError(
            f"The list {parameters['list_name']!r} is there already, as {row[0]}, {row[1]},"
            f" location {row[2]}.",
            remedy="Use another name, or the same kind, channel and location.",
        )


def _quarantine(
    connection: psycopg.Connection, file_name: str, digest: str, rejects: list[tuple[int, str]]
) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.quarantine (source, entity, row_key, reason, payload, payload_digest)"
            " values ('do_not_call', %s, %s, 'no_address', %s, %s) on conflict do nothing",
            [
                (file_name, f"{digest[:12]}:{line}", Jsonb({"line": text[:200]}),
                 hashlib.sha256(text.encode()).hexdigest())
                for line, text in rejects
            ],
        )  # fmt: skip
