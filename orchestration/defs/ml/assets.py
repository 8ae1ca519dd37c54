"""The conversion model, and the scores it gives."""

import base64

import dagster as dg

from leadengine.clock import SystemClock
from ml.champion import train_from_warehouse
from ml.scoring import score_open_leads
from orchestration.metadata import counts, table
from orchestration.resources import Engine


@dg.asset(
    key=["ml", "lead_conversion"],
    deps=[["marts", "lead_training_set"]],
    group_name="ml",
    kinds={"mlflow", "lightgbm"},
    description="Trains, calibrates and registers `lead_conversion`; the gate decides on champion.",
)
def lead_conversion(engine: Engine) -> dg.MaterializeResult[None]:
    """Trains on the warehouse's training set."""
    result = train_from_warehouse(engine.database, engine.settings)
    plot = base64.b64encode(result.calibration_plot.read_bytes()).decode()
    return dg.MaterializeResult(
        metadata={
            "model_version": result.model_version,
            "alias": result.alias,
            "decision": result.decision,
            "mlflow_run_id": result.run_id,
            "figures": table(
                ["figure", "value on rows not trained on"],
                [(name, f"{value:.4f}") for name, value in sorted(result.metrics.items())],
            ),
            "calibration": dg.MetadataValue.md(f"![calibration](data:image/png;base64,{plot})"),
        }
    )


@dg.asset(
    key=["ml", "lead_scores"],
    deps=[["marts", "lead_features"], ["ml", "lead_conversion"]],
    group_name="ml",
    kinds={"postgres", "lightgbm"},
    retry_policy=dg.RetryPolicy(max_retries=2, delay=5),
    description="Every open lead's score, tier, rank and reasons, as of now.",
)
def lead_scores(engine: Engine) -> dg.MaterializeResult[None]:
    """Scores every open lead with the champion."""
    result = score_open_leads(engine.database, engine.settings)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": result.rows,
            "leads_scored": result.rows,
            "model_version": result.model_version,
            "tiers": counts("tier", result.tiers),
        }
    )


@dg.asset_check(
    asset=["ml", "lead_scores"],
    description="The newest scores are not older than a day.",
)
def scores_are_fresh(engine: Engine) -> dg.AssetCheckResult:
    """Looks at the newest run of scores."""
    with engine.database.connect() as connection:
        row = connection.execute("select max(as_of) from ml.lead_scores").fetchone()
    newest = row[0] if row else None
    age_hours = (SystemClock().now() - newest).total_seconds() / 3600 if newest else None
    return dg.AssetCheckResult(
        passed=age_hours is not None and age_hours < 24,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"age_hours": round(age_hours, 2) if age_hours is not None else "no scores yet"},
    )
