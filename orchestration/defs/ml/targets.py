"""What is predicted beside conversion: the models, and what they say of each open lead."""

import dagster as dg

from ml.locations import weigh_locations
from ml.targets.prediction import predict_open_leads
from ml.targets.training import train_targets
from orchestration.metadata import counts, table
from orchestration.resources import Engine


@dg.asset(
    key=["ml", "target_models"],
    deps=[["intermediate", "int_target_training_set"]],
    group_name="ml",
    kinds={"mlflow", "lightgbm"},
    description="Models of replies, no-shows, recovery and time to convert, or why there is none.",
)
def target_models(engine: Engine) -> dg.MaterializeResult[None]:
    """Trains every target on what the warehouse knows."""
    results = train_targets(engine.database, engine.settings)
    return dg.MaterializeResult(
        metadata={
            "targets": table(
                ["target", "status", "rows", "outcomes", "base rate", "ROC AUC", "ECE", "why"],
                [
                    (
                        one.target,
                        one.status,
                        one.rows,
                        one.outcomes,
                        "" if one.base_rate is None else f"{one.base_rate:.3f}",
                        *(
                            f"{one.figures[name]:.3f}" if name in one.figures else ""
                            for name in ("roc_auc", "ece")
                        ),
                        one.reason,
                    )
                    for one in results
                ],
            )
        }
    )


@dg.asset(
    key=["ml", "location_evidence"],
    deps=[
        ["marts", "lead_features"],
        ["marts", "lead_training_set"],
        ["ml", "lead_conversion"],
    ],
    group_name="ml",
    kinds={"postgres"},
    description="Which score each location's own outcomes favour, and its rate of conversion.",
)
def location_evidence(engine: Engine) -> dg.MaterializeResult[None]:
    """Weighs the outcomes of every location."""
    found = weigh_locations(engine.database, engine.settings)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(found),
            "locations": table(
                ["location", "method", "leads", "outcomes", "rate", "90 % interval", "why"],
                [
                    (
                        one.location_id,
                        one.method,
                        one.leads,
                        one.outcomes,
                        f"{one.rate:.3f}",
                        f"{one.low:.3f} to {one.high:.3f}",
                        one.reason,
                    )
                    for one in found
                ],
            ),
        }
    )


@dg.asset(
    key=["ml", "lead_predictions"],
    deps=[
        ["marts", "lead_features"],
        ["ml", "target_models"],
        ["ml", "lead_scores"],
        ["ml", "location_evidence"],
    ],
    group_name="ml",
    kinds={"postgres", "lightgbm"},
    retry_policy=dg.RetryPolicy(max_retries=2, delay=5),
    description="What every open lead is likely to do, with 90 % intervals, as of now.",
)
def lead_predictions(engine: Engine) -> dg.MaterializeResult[None]:
    """Predicts every target for the open leads that it applies to."""
    result = predict_open_leads(engine.database, engine.settings)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(result.rows.values()),
            "predictions": counts("target", result.rows),
        }
    )
