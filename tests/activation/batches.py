"""Short ways to plan, approve and dispatch."""

import dataclasses
from uuid import UUID

from activation.approve import approve_batch
from activation.dispatch import dispatch_batch
from activation.plan import plan_batch
from activation.policy import DispatchPolicy
from activation.types import BatchPlan, DispatchReport, PlanRequest
from tests.activation.conftest import IMPATIENT, World

REQUEST = PlanRequest(
    audience="hottest",
    sequence="hot_follow_up",
    size=500,
    channels=["sms", "email"],
    holdout_share=0.0,
    planned_by="Mia",
)


def plan(world: World, **changes: object) -> BatchPlan:
    request = dataclasses.replace(REQUEST, **changes)  # type: ignore[arg-type]
    return plan_batch(world.database, world.settings, request, world.clock)


def approved(world: World, **changes: object) -> UUID:
    planned = plan(world, **changes)
    approve_batch(
        world.database,
        planned.batch_id,
        digest=planned.digest,
        approved_by="Bo Broker",
        clock=world.clock,
    )
    return planned.batch_id


def dispatch(world: World, batch: UUID, policy: DispatchPolicy = IMPATIENT) -> DispatchReport:
    return dispatch_batch(
        world.database, world.clients, world.settings, batch, world.clock, policy=policy
    )


def plan_and_send(world: World, **changes: object) -> DispatchReport:
    return dispatch(world, approved(world, **changes))
