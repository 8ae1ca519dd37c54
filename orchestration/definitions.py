"""Everything Dagster knows, put together. ``workspace.yaml`` points here."""

import dagster as dg

from orchestration.defs.activation.assets import (
    batch_results,
    batches,
    consent_logs,
    crm_writes,
    ledger_has_no_loose_ends,
    sends,
)
from orchestration.defs.ingestion.assets import imported_leads, source_assets
from orchestration.defs.ingestion.sensors import new_crm_data
from orchestration.defs.ml.assets import (
    lead_conversion,
    lead_scores,
    location_scores,
    scores_are_fresh,
    scores_hold,
    watch_runs,
)
from orchestration.defs.ml.sensors import retrain_when_scores_no_longer_hold
from orchestration.defs.ml.targets import lead_predictions, location_evidence, target_models
from orchestration.defs.quality.assets import quarantine
from orchestration.defs.quality.checks import raw_expectations
from orchestration.defs.warehouse.assets import (
    dbt_models,
    dbt_models_after_scores,
    dbt_resource,
    histories,
)
from orchestration.jobs import ALL_JOBS
from orchestration.resources import Engine
from orchestration.schedules import ALL_SCHEDULES

defs = dg.Definitions(
    assets=[
        *source_assets,
        imported_leads,
        quarantine,
        dbt_models,
        lead_conversion,
        lead_scores,
        location_scores,
        watch_runs,
        target_models,
        location_evidence,
        lead_predictions,
        dbt_models_after_scores,
        *histories,
        consent_logs,
        batches,
        sends,
        batch_results,
        crm_writes,
    ],
    asset_checks=[raw_expectations, scores_are_fresh, scores_hold, ledger_has_no_loose_ends],
    jobs=ALL_JOBS,
    schedules=ALL_SCHEDULES,
    sensors=[new_crm_data, retrain_when_scores_no_longer_hold],
    resources={"engine": Engine(), "dbt": dbt_resource()},
)
