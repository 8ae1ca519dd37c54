"""Consent, batch, sends, result, writeback: each step a call into the activation room."""

from uuid import UUID

import dagster as dg
from pydantic import Field

from activation.approve import approve_batch
from activation.consent import sync_consent
from activation.dispatch import dispatch_batch
from activation.measure import measure_batch
from activation.plan import plan_batch
from activation.types import PlanRequest
from activation.writeback import write_back
from orchestration.metadata import counts
from orchestration.resources import Engine

GROUP = "activation"


class BatchConfig(dg.Config):
    """What a marketer fills in when starting ``nurture_batch``."""

    audience: str = Field("hottest", description="A file under activation/audiences.")
    sequence: str = Field("hot_follow_up", description="A file under activation/sequences.")
    size: int = Field(200, description="Leads to send to or hold out, at most.", gt=0)
    channels: list[str] = Field(["sms", "email"], description="Any of sms and email.")
    holdout_share: float = Field(0.1, description="Share kept back to measure against.", ge=0, lt=1)
    dry_run: bool = Field(False, description="Plans only; such a batch can never be sent.")
    planned_by: str = Field("dagster", description="Who asks for it.")
    approved_by: str = Field("", description="Approves at once in this name; empty: waits.")


@dg.asset(
    key=["ops", "consent_logs"],
    deps=[["marts", "fct_consent_events"]],
    group_name=GROUP,
    kinds={"postgres"},
    description="Consent as the CRM and the providers hold it, appended to the log.",
)
def consent_logs(engine: Engine) -> dg.MaterializeResult[None]:
    """Appends the consent events that the log does not hold yet."""
    report = sync_consent(engine.database, engine.clock)
    return dg.MaterializeResult(metadata={"rows_added": report.added, "rows_seen": report.seen})


@dg.asset(
    key=["ops", "batches"],
    deps=[["ops", "consent_logs"], ["marts", "lead_priorities"], ["marts", "dim_leads"]],
    group_name=GROUP,
    kinds={"postgres"},
    description="A planned nurture batch, with a decision and a reason per lead.",
)
def batches(engine: Engine, config: BatchConfig) -> dg.Output[str]:
    """Plans a batch and, where the run names an approver, approves it."""
    plan = plan_batch(
        engine.database,
        engine.settings,
        PlanRequest(
            audience=config.audience,
            sequence=config.sequence,
            size=config.size,
            channels=config.channels,
            holdout_share=config.holdout_share,
            dry_run=config.dry_run,
            planned_by=config.planned_by,
        ),
        engine.clock,
    )
    if config.approved_by and not config.dry_run:
        approve_batch(
            engine.database,
            plan.batch_id,
            digest=plan.digest,
            approved_by=config.approved_by,
            clock=engine.clock,
        )
    return dg.Output(
        str(plan.batch_id),
        metadata={
            "batch_id": str(plan.batch_id),
            "in_words": " ".join((plan.blast_radius, *plan.refusals)),
            "decisions": counts("decision", plan.counts),
            "reasons": counts("decision and reason", plan.reasons),
            "channels": counts("channel", plan.channels),
            "approved_by": config.approved_by or "awaiting approval",
        },
    )


@dg.asset(
    key=["ops", "sends"],
    ins={"batch_id": dg.AssetIn(key=["ops", "batches"])},
    group_name=GROUP,
    kinds={"twilio", "sendgrid"},
    description="The messages of the approved batch: intent first, then the effect, then proof.",
)
def sends(engine: Engine, batch_id: str) -> dg.Output[str]:
    """Dispatches the batch if it is approved; says so if it is not."""
    with engine.database.connect() as connection:
        row = connection.execute(
            "select status from ops.batches where batch_id = %s", [batch_id]
        ).fetchone()
    status = row[0] if row else "missing"
    if status != "approved":
        return dg.Output(batch_id, metadata={"dispatched": False, "batch_status": status})
    report = dispatch_batch(
        engine.database, engine.clients, engine.settings, UUID(batch_id), engine.clock
    )
    return dg.Output(
        batch_id,
        metadata={
            "dispatched": True,
            "sent": counts("channel", report.sent),
            "cancelled": counts("reason", report.cancelled),
            "rejected": counts("reason", report.rejected),
            "left": counts("status", report.left),
            "report": dg.MetadataValue.json(report.as_dict()),
        },
    )


@dg.asset(
    key=["ops", "batch_results"],
    ins={"batch_id": dg.AssetIn(key=["ops", "sends"])},
    group_name=GROUP,
    kinds={"postgres"},
    description="What the batch brought against its holdout, or that it is too early to tell.",
)
def batch_results(engine: Engine, batch_id: str) -> dg.MaterializeResult[None]:
    """Measures the batch."""
    result = measure_batch(engine.database, UUID(batch_id), engine.clock)
    return dg.MaterializeResult(metadata={"verdict": result.verdict})


@dg.asset_check(
    asset=["ops", "sends"],
    description="No message is without a settled outcome; what is, a person has to look at.",
)
def ledger_has_no_loose_ends(engine: Engine) -> dg.AssetCheckResult:
    """Counts the messages whose effect is not known."""
    with engine.database.connect() as connection:
        row = connection.execute(
            "select count(*) from ops.sends where status in ('claimed', 'unsettled')"
        ).fetchone()
    loose = int(row[0]) if row else 0
    return dg.AssetCheckResult(
        passed=loose == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"unsettled": loose},
    )


@dg.asset(
    key=["ops", "crm_writes"],
    deps=[["marts", "lead_priorities"]],
    group_name=GROUP,
    kinds={"gohighlevel"},
    retry_policy=dg.RetryPolicy(max_retries=2, delay=15),
    description="Score, tier and reason in the CRM's custom fields and tags, only where changed.",
)
def crm_writes(engine: Engine) -> dg.MaterializeResult[None]:
    """Writes what changed."""
    report = write_back(engine.database, engine.clients, engine.settings)
    return dg.MaterializeResult(
        metadata={key: value for key, value in report.as_dict().items() if isinstance(value, int)}
    )
