"""The conversion model, and the scores it gives."""

import base64

import dagster as dg

from leadengine.clock import SystemClock
from ml.ripened import as_rows
from ml.scoring import score_open_leads
from ml.training import Untrained, train_if_possible
from ml.watch import newest_alarm, watch
from orchestration.metadata import counts, table
from orchestration.resources import Engine


@dg.asset(
    key=["ml", "lead_conversion"],
    deps=[["marts", "lead_training_set"]],
    group_name="ml",
    kinds={"mlflow", "lightgbm"},
    description="Trains, calibrates and registers `lead_conversion`; the gate decides on champion. "
    "With too few outcomes it says so, and leads have the rules score.",
)
def lead_conversion(engine: Engine) -> dg.MaterializeResult[None]:
    """Trains on the warehouse's training set."""
    result = train_if_possible(engine.database, engine.settings)
    if isinstance(result, Untrained):
        return dg.MaterializeResult(
            metadata={
                "decision": f"No model was trained: {result.reason}",
                "model_version": result.scored_by,
            }
        )
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
def lead_scores(context: dg.AssetExecutionContext, engine: Engine) -> dg.MaterializeResult[None]:
    """Scores every open lead with the champion, or by rules."""
    result = score_open_leads(engine.database, engine.settings)
    # From now on each of them can be scored alone.
    context.instance.add_dynamic_partitions("location", list(result.locations))
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": result.rows,
            "leads_scored": result.rows,
            "model_version": result.model_version,
            "tiers": counts("tier", result.tiers),
        }
    )


LOCATIONS = dg.DynamicPartitionsDefinition(name="location")


@dg.asset(
    key=["ml", "location_scores"],
    deps=[["marts", "lead_features"], ["ml", "lead_conversion"]],
    partitions_def=LOCATIONS,
    group_name="ml",
    kinds={"postgres", "lightgbm"},
    retry_policy=dg.RetryPolicy(max_retries=2, delay=5),
    description="The scores of one location's open leads, for accounts too large for one run; "
    "writes that location's rows of ml.lead_scores. Backfill all locations of a new moment.",
)
def location_scores(
    context: dg.AssetExecutionContext, engine: Engine
) -> dg.MaterializeResult[None]:
    """Scores the open leads of the partition's location with the champion."""
    result = score_open_leads(engine.database, engine.settings, location_id=context.partition_key)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": result.rows,
            "model_version": result.model_version,
            "tiers": counts("tier", result.tiers),
        }
    )


@dg.asset(
    key=["ml", "watch_runs"],
    deps=[["ml", "lead_scores"]],
    group_name="ml",
    kinds={"postgres", "mlflow"},
    description="Drift of inputs and scores, and calibration of scores whose window is over.",
)
def watch_runs(engine: Engine) -> dg.MaterializeResult[None]:
    """Looks at the newest scores."""
    look = watch(engine.database, engine.settings)
    return dg.MaterializeResult(
        metadata={
            "verdict": look.verdict,
            "summary": look.summary,
            "model_version": look.model_version,
            "leads": look.rows,
            "report": dg.MetadataValue.path(look.report),
            "report_in_mlflow": look.artifact,
            "most_moved": table(
                ["column", "PSI", "by chance up to"],
                [(d.name, f"{d.psi:.3f}", f"{d.by_chance:.3f}") for d in look.drifts[:10]],
            ),
            "calibration": table(
                ["leads", "predicted", "observed", "95 % interval"],
                [tuple(row.values()) for row in as_rows(look.calibration)]
                if look.calibration
                else [],
            ),
        }
    )


@dg.asset_check(
    asset=["ml", "watch_runs"],
    description="Scores come true, and leads are those that the model was made for.",
)
def scores_hold(engine: Engine) -> dg.AssetCheckResult:
    """Warns where the newest look found drift or miscalibration."""
    alarm = newest_alarm(engine.database)
    return dg.AssetCheckResult(
        passed=alarm is None,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "verdict": alarm.verdict if alarm else "no alarm",
            "model_version": alarm.model_version if alarm else "-",
        },
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
