"""Approval: a name, one exact digest, 24 hours."""

from datetime import timedelta
from uuid import uuid4

import pytest

from activation.approve import BatchError, approve_batch
from tests.activation.batches import approved, dispatch, plan
from tests.activation.conftest import World
from tests.activation.marts import Lead, add_leads, phone, rows


@pytest.fixture
def peopled(world: World) -> World:
    add_leads(world.database, [Lead("a", world.locations[0], phone=phone(1))])
    return world


def approve(world: World, batch_id: object, digest: str, name: str = "Bo") -> None:
    approve_batch(
        world.database,
        batch_id,
        digest=digest,
        approved_by=name,
        clock=world.clock,  # type: ignore[arg-type]
    )


def test_a_batch_is_sent_only_after_a_named_approval_of_its_digest(peopled: World) -> None:
    planned = plan(peopled)
    with pytest.raises(BatchError, match="not approved"):
        dispatch(peopled, planned.batch_id)
    with pytest.raises(BatchError, match="digest"):
        approve(peopled, planned.batch_id, "0" * 64)
    with pytest.raises(BatchError, match="digest"):
        approve(peopled, planned.batch_id, "")
    with pytest.raises(BatchError, match="name"):
        approve(peopled, planned.batch_id, planned.digest, " ")
    with pytest.raises(BatchError, match="no batch"):
        approve(peopled, uuid4(), planned.digest)
    assert peopled.ledger() == []
    approve(peopled, planned.batch_id, planned.digest[:12])
    with pytest.raises(BatchError, match="approved"):
        approve(peopled, planned.batch_id, planned.digest)
    assert dispatch(peopled, planned.batch_id).sent == {"sms": 1}
    assert ("Bo", "batch_approved") in rows(
        peopled.database, "select actor, action from ops.audit_trail"
    )


def test_a_dry_run_can_be_neither_approved_nor_sent(peopled: World) -> None:
    planned = plan(peopled, dry_run=True)
    with pytest.raises(BatchError, match="dry run"):
        approve(peopled, planned.batch_id, planned.digest)
    with pytest.raises(BatchError, match="dry run"):
        dispatch(peopled, planned.batch_id)


def test_an_approval_runs_out_after_a_day(peopled: World) -> None:
    batch = approved(peopled)
    peopled.clock.advance(timedelta(hours=24, seconds=1))
    with pytest.raises(BatchError, match="ran out"):
        dispatch(peopled, batch)
    assert rows(peopled.database, "select status from ops.batches") == [("expired",)]
    assert rows(peopled.database, "select count(*) from ops.sends") == [(0,)]
    with pytest.raises(BatchError, match="24 hours ago"):
        approve(peopled, batch, plan(peopled).digest)


def test_an_approval_holds_for_a_day(peopled: World) -> None:
    batch = approved(peopled)
    peopled.clock.advance(timedelta(hours=23, minutes=59))
    assert dispatch(peopled, batch).sent == {"sms": 1}
