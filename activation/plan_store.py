"""A plan while it is made: its items go to the database as they are decided, only sums are kept."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from activation.audit import audit
from activation.types import BatchPlan, PlannedItem, PlanRequest, Verdict
from warehouse.database import Database

_FIELDS = (
    "lead_id", "location_id", "contact_id", "decision", "reason_code", "reason", "channel",
    "send_at", "to_address", "template_id", "template_version", "subject", "body", "segments",
    "cost_cents", "score", "tier", "rank",
)  # fmt: skip
_VALUES = attrgetter(*_FIELDS)
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(slots=True)
class DraftPlan:
    """The sums over a plan's items, and the way into the database.

    ``journey`` is the sequence and its templates' versions: an approval covers the later steps.
    """

    batch_id: UUID
    request: PlanRequest
    sequence: str
    channels: Sequence[str]
    rule_version: str
    now: datetime
    journey: dict[str, Any]
    written_for: str = "leads"
    audience_size: int = 0
    counts: Counter[str] = field(
        default_factory=lambda: Counter({verdict.value: 0 for verdict in Verdict})
    )
    reasons: Counter[str] = field(default_factory=Counter)
    sends: Counter[str] = field(default_factory=Counter)
    locations: Counter[str] = field(default_factory=Counter)
    cost_cents: dict[str, Decimal] = field(default_factory=dict)
    templates: set[str] = field(default_factory=set)
    segments: int = 0
    _digests: list[tuple[str, bytes]] = field(default_factory=list)

    def begin(self, connection: psycopg.Connection) -> None:
        """Stores the batch, without what only the items will tell."""
        request = self.request
        connection.execute(
            "insert into ops.batches (batch_id, audience, sequence, channels, requested_size,"
            " holdout_share, seed, status, dry_run, as_of, digest, summary, planned_by, planned_at)"
            " values (%s, %s, %s, %s, %s, %s, 0, 'planned', %s, %s, '', '{}', %s, %s)",
            (
                self.batch_id, request.audience, self.sequence, list(self.channels), request.size,
                request.holdout_share, request.dry_run, self.now, request.planned_by, self.now,
            ),
        )  # fmt: skip

    @contextmanager
    def items_into(self, connection: psycopg.Connection) -> Iterator[Callable[[PlannedItem], None]]:
        """Yields what stores an item and counts it."""
        statement = sql.SQL("copy ops.batch_items ({}) from stdin").format(
            sql.SQL(", ").join(map(sql.Identifier, ("batch_id", *_FIELDS)))
        )
        with connection.cursor() as cursor, cursor.copy(statement) as copy:

            def store(item: PlannedItem) -> None:
                self._count(item)
                values = _VALUES(item)
                if item.contact_id is None:
                    values = (*values[:2], item.lead_id.split(":", 1)[-1], *values[3:])
                copy.write_row((self.batch_id, *values))

            yield store

    def finish(
        self,
        connection: psycopg.Connection,
        refusals: list[str],
        database: Database,
        spent_cents: Decimal,
    ) -> BatchPlan:
        """Stores the sums, the digest, and what the guards said."""
        request = self.request
        is_refused = bool(refusals) and not request.override
        plan = BatchPlan(
            batch_id=self.batch_id,
            digest=self.digest(),
            audience=request.audience,
            sequence=request.sequence,
            status="refused" if is_refused else "planned",
            dry_run=request.dry_run,
            audience_size=self.audience_size,
            counts=dict(self.counts),
            reasons=dict(self.reasons),
            channels=dict(self.sends),
            locations=dict(self.locations),
            segments=self.segments,
            cost_cents={name: float(cents) for name, cents in self.cost_cents.items()},
            refusals=refusals,
            load_items=lambda: read_items(database, self.batch_id),
        )
        summary = plan.as_dict() | {
            "rule_version": self.rule_version,
            "templates": sorted(self.templates),
            "journey": self.journey,
            "override": request.override,
        }
        connection.execute(
            "update ops.batches set digest = %s, summary = %s, status = %s where batch_id = %s",
            (plan.digest, Jsonb(summary), plan.status, self.batch_id),
        )
        audit(
            connection,
            at=self.now,
            actor=request.planned_by,
            action="batch_planned" if not is_refused else "batch_refused",
            entity="batch",
            entity_id=str(self.batch_id),
            detail={
                "digest": plan.digest,
                "counts": plan.counts,
                "dry_run": plan.dry_run,
                "cost_cents": float(spent_cents),
                "refusals": refusals,
                "override": request.override,
            },
        )
        return plan

    def digest(self) -> str:
        """The SHA-256 over all decisions and the sequence: what an approver puts a name to."""
        whole = hashlib.sha256(json.dumps(self.journey, sort_keys=True).encode())
        for _, one in sorted(self._digests):
            whole.update(one)
        return whole.hexdigest()

    def _count(self, item: PlannedItem) -> None:
        self.counts[item.decision] += 1
        self.reasons[f"{item.decision}:{item.reason_code}"] += 1
        self._digests.append((item.lead_id, _item_digest(item)))
        if item.decision == Verdict.SEND.value and item.channel is not None:
            self.sends[item.channel] += 1
            self.locations[item.location_id] += 1
            self.segments += item.segments or 0
            cost = item.cost_cents or Decimal(0)
            self.cost_cents[item.channel] = self.cost_cents.get(item.channel, Decimal(0)) + cost
            self.templates.add(str(item.template_id))


def _item_digest(item: PlannedItem) -> bytes:
    row = [
        item.lead_id, item.decision, item.reason_code, item.channel, item.to_address,
        item.template_id, item.template_version, item.subject, item.body,
        item.send_at.isoformat() if item.send_at else None,
    ]  # fmt: skip
    return hashlib.sha256(_ENCODE(row).encode()).digest()


def read_items(database: Database, batch_id: UUID) -> list[PlannedItem]:
    """Every decision of a stored plan, best lead first."""
    columns = sql.SQL(", ").join(map(sql.Identifier, _FIELDS))
    query = sql.SQL(
        "select {} from ops.batch_items where batch_id = %s order by score desc, lead_id"
    ).format(columns)
    with database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        rows: list[dict[str, Any]] = cursor.execute(query, (batch_id,)).fetchall()
    return [PlannedItem(**row) for row in rows]
