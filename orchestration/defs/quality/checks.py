"""Great Expectations as blocking checks on the raw tables."""

from collections.abc import Iterator

import dagster as dg

from expectations.run import SUITE_TABLES, validate_raw
from orchestration.resources import Engine

CHECK_NAME = "expectations"


@dg.multi_asset_check(
    name="raw_expectations",
    specs=[
        dg.AssetCheckSpec(
            CHECK_NAME,
            asset=name.split("."),
            blocking=True,
            description="The table's Great Expectations suite, run as SQL.",
        )
        for name in SUITE_TABLES
    ],
    can_subset=True,
)
def raw_expectations(
    context: dg.AssetCheckExecutionContext, engine: Engine
) -> Iterator[dg.AssetCheckResult]:
    """Validates the selected raw tables; a failed suite stops what is built upon the table."""
    tables = sorted(".".join(key.asset_key.path) for key in context.selected_asset_check_keys)
    for result in validate_raw(engine.database, tables):
        yield dg.AssetCheckResult(
            passed=result.success,
            asset_key=result.table.split("."),
            check_name=CHECK_NAME,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "expectations_evaluated": result.evaluated,
                "failures": _bullets(result.failures),
                "warnings": _bullets(result.warnings),
            },
        )


def _bullets(sentences: list[str]) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md("\n".join(f"- {sentence}" for sentence in sentences) or "none")
