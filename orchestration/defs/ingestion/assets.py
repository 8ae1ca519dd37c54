"""One asset per raw table; the tables of a source are loaded in one go."""

from collections.abc import Iterator

import dagster as dg

from ingestion.load import SOURCES, load_source
from ingestion.tables import TABLES
from orchestration.metadata import load_metadata
from orchestration.resources import Engine

RETRY = dg.RetryPolicy(
    max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)


def _source_assets(source: str) -> dg.AssetsDefinition:
    schema = f"raw_{source}"
    tables = [table for table in TABLES if table.schema == schema]

    @dg.multi_asset(
        name=f"load_{source}",
        specs=[
            dg.AssetSpec(
                [table.schema, table.table],
                group_name="ingestion",
                kinds={"dlt", "postgres"},
                description=table.description,
            )
            for table in tables
        ],
        can_subset=True,
        retry_policy=RETRY,
    )
    def load(
        context: dg.AssetExecutionContext, engine: Engine
    ) -> Iterator[dg.MaterializeResult[None]]:
        selected = sorted(key.path[1] for key in context.selected_asset_keys)
        results = load_source(
            engine.database, engine.clients, engine.settings, source, tables=selected
        )
        for table in selected:
            yield dg.MaterializeResult(
                asset_key=[schema, table],
                metadata=load_metadata([r for r in results if r.table == table]),
            )

    return load


source_assets = [_source_assets(source) for source in SOURCES]

imported_leads = dg.AssetSpec(
    ["raw_import", "leads"],
    group_name="ingestion",
    kinds={"postgres"},
    description="Leads from files, loaded by `leadengine import`.",
)
