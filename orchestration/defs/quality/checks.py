"""Great Expectations as blocking checks on the raw tables."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import dagster as dg

from expectations.run import SUITE_TABLES, SuiteResult, validate_raw
from leadengine.settings import Settings, get_settings
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
    for result in validate_raw(engine.database, tables, docs=get_settings().data_docs):
        yield check_result(result, get_settings())


def check_result(result: SuiteResult, settings: Settings) -> dg.AssetCheckResult:
    """The check of one table: what blocks is an error, what only warns a warning.

    Its Data Docs are linked where `leadengine up` and `leadengine docs` serve them.
    """
    metadata: dict[str, Any] = {
        "expectations_evaluated": result.evaluated,
        "failures": _bullets(result.failures),
        "warnings": _bullets(result.warnings),
    }
    if result.page is not None:
        metadata["data_docs"] = dg.MetadataValue.url(
            f"http://localhost:{settings.docs_port}/"
            + quote(result.page.relative_to(settings.docs).as_posix())
        )
    return dg.AssetCheckResult(
        passed=result.success and not result.warnings,
        asset_key=result.table.split("."),
        check_name=CHECK_NAME,
        # Only an error stops what is built upon the table.
        severity=dg.AssetCheckSeverity.WARN if result.success else dg.AssetCheckSeverity.ERROR,
        metadata=metadata,
    )


def _bullets(sentences: list[str]) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md("\n".join(f"- {sentence}" for sentence in sentences) or "none")
