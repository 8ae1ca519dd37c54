"""Writes score, tier and reason back to GoHighLevel, only where they changed."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from activation.audit import audit
from activation.candidates import MartsMissingError
from activation.crm_fields import crm_fields
from activation.queries import load_sql
from activation.types import WritebackReport
from leadengine.clock import Clock, SystemClock
from leadengine.errors import LeadEngineError
from leadengine.log import get_logger
from leadengine.settings import Settings
from providers.errors import ProviderError, Rejected
from providers.factory import Clients
from providers.ghl import GhlClient
from warehouse.database import Database

_log = get_logger("activation.writeback")
_THREADS_PER_LOCATION = 4
_MOST_ERRORS_SHOWN = 10
_CLOSED = "closed"
_TIER_TAGS = ("score:hot", "score:warm", "score:cool", "score:cold")
Progress = Callable[[int], None]
Outcome = Literal["written", "gone", "failed"]


class WritebackHalted(LeadEngineError):  # noqa: N818 - it is a stop, not a fault of ours
    """The CRM refuses our token, so writing stopped; the rest is written next time."""


@dataclass(frozen=True, slots=True)
class Target:
    """What one contact should carry, and what it carries as far as we know."""

    location_id: str
    contact_id: str
    score: int
    tier: str
    reason: str
    scored_at: datetime | None
    tags: tuple[str, ...]
    known_digest: str | None
    known_tags: tuple[str, ...]
    known_status: str | None

    @property
    def digest(self) -> str:
        """Names what is written, the time of scoring left out: it alone is no change."""
        # The same reasons in another order say nothing new.
        written = json.dumps([self.score, self.tier, sorted(self.reason.split("; "))])
        return hashlib.sha256(written.encode()).hexdigest()

    @property
    def changed(self) -> bool:
        """Whether the fields have to be written."""
        return self.digest != self.known_digest


def write_back(
    database: Database,
    clients: Clients,
    settings: Settings,
    clock: Clock | None = None,
    *,
    progress: Progress | None = None,
) -> WritebackReport:
    """Writes what changed, hottest first, all locations at once, within their rate limits.

    A row in ``ops.crm_writes`` follows each contact's write, so a run that is cut off goes on
    where it stopped. A contact deleted in the CRM is noted and not tried again until its score
    changes.

    Args:
        database: with the scores.
        clients: a CRM client per location.
        settings: ``writeback_tiers`` says which tiers the CRM shall show.
        clock: tells the time.
        progress: called with the number of contacts finished.

    Raises:
        MartsMissingError: the leads have not been scored yet.
        WritebackHalted: the CRM refuses our token.
    """
    clock = clock or SystemClock()
    by_location: defaultdict[str, list[Target]] = defaultdict(list)
    for target in _targets(database, settings.writeback_tiers):
        by_location[target.location_id].append(target)
    report = WritebackReport()
    missing = sorted(set(by_location) - set(clients.ghl))
    for location_id in missing:
        report.errors.append(f"location {location_id} is not configured: its contacts wait")
        by_location.pop(location_id)
    if by_location:
        with ThreadPoolExecutor(len(by_location), thread_name_prefix="writeback") as pool:
            futures = [
                pool.submit(
                    _write_location,
                    database, clients.ghl[location_id], targets, clock, progress or _quiet,
                )
                for location_id, targets in by_location.items()
            ]  # fmt: skip
            for future in futures:
                _merge(report, future.result())
    with database.connect() as connection:
        audit(
            connection,
            at=clock.now(),
            actor="writeback",
            action="crm_written",
            entity="crm_writes",
            entity_id="ops.crm_writes",
            detail={k: v for k, v in report.as_dict().items() if k != "errors"},
        )
    return report


def _quiet(_count: int) -> None:
    """Nobody watches."""


def _targets(database: Database, tiers: Iterable[str]) -> list[Target]:
    try:
        with database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(load_sql("writeback_targets"), {"tiers": list(tiers)}).fetchall()
    except psycopg.errors.UndefinedTable as error:
        raise MartsMissingError(
            f"The leads' priorities have not been built: {str(error).splitlines()[0]}.",
            remedy="Run `leadengine run`, or the full_refresh job, first.",
        ) from error
    return [_target(row) for row in rows]


def _target(row: dict[str, Any]) -> Target:
    is_scored = row["tier"] is not None
    tags = (f"score:{row['tier']}",) if is_scored else ()
    known = tuple(row["tags"] or ())
    if row["field_digest"] is None:
        # Nothing is known about it: an earlier installation may have left any other tier's tag.
        known = tuple(tag for tag in _TIER_TAGS if tag not in tags)
    return Target(
        location_id=row["location_id"],
        contact_id=row["contact_id"],
        score=round(row["score"] * 100) if is_scored else 0,
        tier=row["tier"] if is_scored else _CLOSED,
        reason=_reason(row["reasons"]) if is_scored else "No longer an open lead.",
        scored_at=row["as_of"],
        tags=tags,
        known_digest=row["field_digest"],
        known_tags=known,
        known_status=row["status"],
    )


def _reason(reasons: list[dict[str, Any]] | None) -> str:
    sentences = [str(reason["sentence"]).strip() for reason in (reasons or [])[:3]]
    return "; ".join(sentence for sentence in sentences if sentence)[:500]


def _write_location(
    database: Database,
    client: GhlClient,
    targets: list[Target],
    clock: Clock,
    progress: Progress,
) -> WritebackReport:
    report = WritebackReport()
    changed = [target for target in targets if target.changed]
    report.unchanged = len(targets) - len(changed)
    with database.connect() as connection:
        if changed:
            try:
                field_ids, report.fields_created = crm_fields(client)
            except ProviderError as error:
                _halt_if_refused(error)
                report.failed += len(changed)
                report.errors.append(f"custom fields: {error.message}")
                return report
            _write_fields(connection, client, field_ids, changed, clock, progress, report)
        _write_tags(connection, client, clock, report)
    return report


def _write_fields(
    connection: psycopg.Connection,
    client: GhlClient,
    field_ids: dict[str, str],
    changed: list[Target],
    clock: Clock,
    progress: Progress,
    report: WritebackReport,
) -> None:
    """Requests go out in parallel; this thread alone notes each as it is done."""
    queue = iter(changed)
    running: dict[Future[tuple[Outcome, str | None]], Target] = {}
    with ThreadPoolExecutor(_THREADS_PER_LOCATION) as pool:
        while True:
            while len(running) < 2 * _THREADS_PER_LOCATION:
                target = next(queue, None)
                if target is None:
                    break
                running[pool.submit(_write_contact, client, field_ids, target)] = target
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                target = running.pop(future)
                outcome, error = future.result()
                if outcome == "written":
                    report.written += 1
                elif outcome == "gone":
                    report.gone += 1
                else:
                    report.failed += 1
                    _add_error(report, error)
                if outcome != "failed":
                    _note(connection, target, outcome, clock.now())
                progress(1)


def _write_contact(
    client: GhlClient, field_ids: dict[str, str], target: Target
) -> tuple[Outcome, str | None]:
    values: dict[str, str | int] = {
        field_ids["score"]: target.score,
        field_ids["tier"]: target.tier,
        field_ids["reason"]: target.reason,
    }
    if target.scored_at is not None:
        values[field_ids["scored_at"]] = target.scored_at.date().isoformat()
    try:
        client.update_contact(target.contact_id, values)
    except ProviderError as error:
        _halt_if_refused(error)
        if isinstance(error, Rejected) and _is_gone(client, target.contact_id, error):
            return "gone", None
        return "failed", error.message
    return "written", None


def _is_gone(client: GhlClient, contact_id: str, error: Rejected) -> bool:
    """The live API answers 404 or 400 for a deleted contact; 400 may also mean a bad value."""
    if error.status == 404:
        return True
    if error.status != 400:
        return False
    try:
        client.get_contact(contact_id)
    except Rejected as answer:
        return answer.status in {400, 404}
    except ProviderError:
        return False
    return False


def _note(connection: psycopg.Connection, target: Target, outcome: Outcome, now: datetime) -> None:
    if outcome == "gone":
        status = "gone"
    else:
        status = "written" if target.tags == target.known_tags else "tags_pending"
    fields = {"score": target.score, "tier": target.tier, "reason": target.reason}
    if target.scored_at is not None:
        fields["scored_at"] = target.scored_at.date().isoformat()
    # Until the tags are changed too, the row keeps those that the contact still carries.
    connection.execute(
        "insert into ops.crm_writes"
        " (location_id, contact_id, field_digest, fields, tags, written_at, status)"
        " values (%s, %s, %s, %s, %s, %s, %s)"
        " on conflict (location_id, contact_id) do update set"
        " field_digest = excluded.field_digest, fields = excluded.fields,"
        " written_at = excluded.written_at, status = excluded.status",
        (
            target.location_id, target.contact_id, target.digest, Jsonb(fields),
            list(target.known_tags), now, status,
        ),
    )  # fmt: skip
    connection.commit()


def _write_tags(
    connection: psycopg.Connection, client: GhlClient, clock: Clock, report: WritebackReport
) -> None:
    """Adds the tier's tag and takes the old tier's away, in bulk, for all that wait for it."""
    rows = connection.execute(
        "select contact_id, fields ->> 'tier', tags from ops.crm_writes"
        " where location_id = %s and status = 'tags_pending' order by contact_id",
        (client.location_id,),
    ).fetchall()
    wanted = {contact: () if tier == _CLOSED else (f"score:{tier}",) for contact, tier, _ in rows}
    adds: defaultdict[str, list[str]] = defaultdict(list)
    removes: defaultdict[str, list[str]] = defaultdict(list)
    for contact, _, tags in rows:
        for tag in set(wanted[contact]) - set(tags):
            adds[tag].append(contact)
        for tag in set(tags) - set(wanted[contact]):
            removes[tag].append(contact)
    failed: set[str] = set()
    for change, groups in (("add", adds), ("remove", removes)):
        for tag, contacts in groups.items():
            failed |= _bulk(client, "add" if change == "add" else "remove", contacts, tag, report)
    for contact, tags in wanted.items():
        if contact in failed:
            continue
        report.tag_changes += 1
        connection.execute(
            "update ops.crm_writes set tags = %s, status = 'written', written_at = %s"
            " where location_id = %s and contact_id = %s",
            (list(tags), clock.now(), client.location_id, contact),
        )
    connection.commit()


def _bulk(
    client: GhlClient,
    change: Literal["add", "remove"],
    contacts: list[str],
    tag: str,
    report: WritebackReport,
) -> set[str]:
    """The contacts whose tags could not be changed. They stay pending and are tried next time."""
    failed: set[str] = set()
    size = 100
    for start in range(0, len(contacts), size):
        chunk = contacts[start : start + size]
        try:
            errors = client.bulk_tags(change, chunk, [tag])
        except ProviderError as error:
            _halt_if_refused(error)
            errors = len(chunk)
            _add_error(report, f"tags: {error.message}")
        if not errors:
            continue
        if len(chunk) == 1 or errors == len(chunk):
            failed |= set(chunk)
            continue
        # The answer does not say which: one by one, which a repeat of a tag survives.
        for contact in chunk:
            failed |= _bulk(client, change, [contact], tag, report)
    return failed


def _halt_if_refused(error: ProviderError) -> None:
    if isinstance(error, Rejected) and error.status in {401, 403}:
        raise WritebackHalted(
            f"Writing to the CRM stopped, since it refuses our token: {error.message}",
            remedy="Correct the location's token; what was not written waits.",
        ) from error


def _add_error(report: WritebackReport, error: str | None) -> None:
    if error and len(report.errors) < _MOST_ERRORS_SHOWN:
        report.errors.append(error)


def _merge(report: WritebackReport, other: WritebackReport) -> None:
    report.written += other.written
    report.unchanged += other.unchanged
    report.gone += other.gone
    report.failed += other.failed
    report.fields_created += other.fields_created
    report.tag_changes += other.tag_changes
    report.errors.extend(other.errors)
