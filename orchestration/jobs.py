"""The jobs that people and schedules start."""

import dagster as dg

_loaded = dg.AssetSelection.groups("ingestion") - dg.AssetSelection.assets(["raw_import", "leads"])
_quality = dg.AssetSelection.groups("quality")
_models = dg.AssetSelection.groups("staging", "intermediate", "marts")
_trained = dg.AssetSelection.assets(["ml", "lead_conversion"], ["ml", "target_models"])
_scored = dg.AssetSelection.assets(
    ["ml", "lead_scores"], ["ml", "location_evidence"], ["ml", "lead_predictions"]
)
_batch = dg.AssetSelection.assets(
    ["ops", "consent_logs"], ["ops", "batches"], ["ops", "sends"], ["ops", "batch_results"]
)
_written_back = dg.AssetSelection.assets(["ops", "crm_writes"])

# One process runs the steps of a job one after the other: most of them wait for the database
# or a provider, and each further process would cost seconds and some 200 MB.
_IN_PROCESS = dg.in_process_executor

full_refresh = dg.define_asset_job(
    "full_refresh",
    selection=_loaded | _quality | _models | _trained | _scored,
    executor_def=_IN_PROCESS,
    description="Loads, checks, transforms, trains and scores.",
)
hourly_refresh = dg.define_asset_job(
    "hourly_refresh",
    selection=_loaded | _quality | _models | _scored,
    executor_def=_IN_PROCESS,
    description="Loads what changed, checks, transforms, and scores with the champion.",
)
train = dg.define_asset_job(
    "train",
    selection=_trained,
    executor_def=_IN_PROCESS,
    description="Trains a challenger on the warehouse's training set and lets the gate decide.",
)
score_location = dg.define_asset_job(
    "score_location",
    selection=dg.AssetSelection.assets(["ml", "location_scores"]),
    executor_def=_IN_PROCESS,
    description="Scores one location's open leads, for accounts too large for one run.",
)
watch = dg.define_asset_job(
    "watch",
    selection=dg.AssetSelection.assets(["ml", "watch_runs"]),
    executor_def=_IN_PROCESS,
    description="Looks for drift and miscalibration of the scores in use.",
)
nurture_batch = dg.define_asset_job(
    "nurture_batch",
    selection=_batch,
    executor_def=_IN_PROCESS,
    description="Plans a nurture batch; sends it only once a named person has approved it.",
)
writeback = dg.define_asset_job(
    "writeback",
    selection=_written_back,
    executor_def=_IN_PROCESS,
    description="Writes changed scores, tiers and reasons to the CRM.",
)

ALL_JOBS = [full_refresh, hourly_refresh, train, score_location, watch, nurture_batch, writeback]
