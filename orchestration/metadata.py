"""What a person sees beside an asset. Counts and tables only; never a name or an address."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from ingestion.load import LoadResult


def load_metadata(results: Sequence[LoadResult]) -> dict[str, Any]:
    """Rows, duration (seconds) and cursor of one table's load over all locations."""
    cursors = [result.cursor for result in results if result.cursor]
    return {
        "dagster/row_count": sum(result.rows_loaded for result in results),
        "rows_loaded": sum(result.rows_loaded for result in results),
        "rows_quarantined": sum(result.rows_quarantined for result in results),
        "duration_seconds": round(sum(result.duration_seconds for result in results), 3),
        "cursor": max(cursors) if cursors else "none",
        "full_load": any(result.full_load for result in results),
    }


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> dg.MarkdownMetadataValue:
    """A table in Markdown."""
    lines = [
        "| " + " | ".join(headings) + " |",
        "|" + " --- |" * len(headings),
        *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows),
    ]
    return dg.MetadataValue.md("\n".join(lines))


def counts(title: str, numbers: Mapping[str, int]) -> dg.MarkdownMetadataValue:
    """Counts by name, largest first, as a table."""
    ordered = sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
    return table([title, "count"], ordered)
