"""The dbt models, in the two halves that the scores divide."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliEventMessage,
    DbtCliResource,
    dbt_assets,
)

from leadengine.settings import get_settings
from orchestration.defs.warehouse.project import dbt_executable, manifest_path
from orchestration.resources import DBT_PROJECT_DIR, Engine

AFTER_SCORES = "tag:after_scores"
# Relations whose asset has another name. The models read what was sent so far, and what is sent
# next follows from the models: as one asset the two would be a circle.
_ASSET_NAMES = {
    ("ml", "current_lead_scores"): "lead_scores",
    ("ml", "lead_scores"): "score_history",
    ("ops", "sends"): "send_history",
    ("ops", "batches"): "batch_history",
    ("ops", "batch_items"): "batch_item_history",
    ("ops", "enrollments"): "enrollment_history",
    ("ops", "enrollment_events"): "enrollment_event_history",
    ("ops", "consent_logs"): "consent_history",
}


class Translator(DagsterDbtTranslator):
    """Keys are ``[schema, table]``; groups are the layers of the project."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """A model's schema and name; a source's schema and table."""
        schema, name = dbt_resource_props["schema"], dbt_resource_props["name"]
        return dg.AssetKey([schema, _ASSET_NAMES.get((schema, name), name)])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The layer: staging, intermediate or marts. Snapshots feed the intermediate one."""
        schema = str(dbt_resource_props["schema"])
        return "intermediate" if schema == "snapshots" else schema


# What the engine wrote in earlier runs, as it stood when the models were built.
histories = [
    dg.AssetSpec(
        [schema, _ASSET_NAMES[schema, table]],
        group_name=group,
        kinds={"postgres"},
        description=f"{schema}.{table} as it stood when the models were built.",
    )
    for schema, table, group in (
        ("ml", "lead_scores", "ml"),
        ("ops", "sends", "activation"),
        ("ops", "batches", "activation"),
        ("ops", "batch_items", "activation"),
        ("ops", "enrollments", "activation"),
        ("ops", "enrollment_events", "activation"),
        ("ops", "consent_logs", "activation"),
    )
]

TRANSLATOR = Translator(settings=DagsterDbtTranslatorSettings(enable_asset_checks=True))
_MANIFEST = manifest_path()


def dbt_resource() -> DbtCliResource:
    """dbt, from this environment, on this project."""
    return DbtCliResource(
        project_dir=str(DBT_PROJECT_DIR),
        profiles_dir=str(DBT_PROJECT_DIR),
        dbt_executable=dbt_executable(),
    )


def _build(context: dg.AssetExecutionContext, dbt: DbtCliResource, engine: Engine) -> Iterator[Any]:
    settings = get_settings()
    os.environ.update(engine.database.dbt_env())
    # Unit tests guard the code, not the data: the test suite runs them.
    arguments = [
        "build",
        "--exclude-resource-type",
        "unit_test",
        "--vars",
        f"{{label_days: {settings.label_days}}}",
    ]
    invocation = dbt.cli(
        arguments, context=context, target_path=settings.dbt_target, manifest=_MANIFEST
    )
    events: Iterator[DbtCliEventMessage] = invocation.stream()  # type: ignore[assignment]
    yield from events


@dbt_assets(
    manifest=_MANIFEST,
    exclude=AFTER_SCORES,
    name="dbt_models",
    dagster_dbt_translator=TRANSLATOR,
    retry_policy=dg.RetryPolicy(max_retries=1, delay=5),
    pool="dbt",
)
def dbt_models(
    context: dg.AssetExecutionContext, dbt: DbtCliResource, engine: Engine
) -> Iterator[Any]:
    """Everything that the scores are made from."""
    yield from _build(context, dbt, engine)


@dbt_assets(
    manifest=_MANIFEST,
    select=AFTER_SCORES,
    name="dbt_models_after_scores",
    dagster_dbt_translator=TRANSLATOR,
    retry_policy=dg.RetryPolicy(max_retries=1, delay=5),
    pool="dbt",
)
def dbt_models_after_scores(
    context: dg.AssetExecutionContext, dbt: DbtCliResource, engine: Engine
) -> Iterator[Any]:
    """What is made from the scores."""
    yield from _build(context, dbt, engine)
