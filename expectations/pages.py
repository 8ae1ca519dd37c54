"""Data Docs: the suites and how they went, as pages to read in a browser."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_RUN_NAME = "latest"


class Pages:
    """Data Docs of one validation of several tables.

    The pages show counts and shares; values that break a rule are taken out before, since they can
    be somebody's address.

    Args:
        context: Great Expectations' context.
        folder: where the pages go; those of earlier validations of the same tables are replaced.
    """

    def __init__(self, context: Any, folder: Path) -> None:
        from great_expectations.core.run_identifier import RunIdentifier

        self._context = context
        self._folder = folder
        self._run_id = RunIdentifier(run_name=_RUN_NAME, run_time=datetime.now(UTC))
        context.variables.data_docs_sites = {
            "expectations": {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "store_backend": {
                    "class_name": "TupleFilesystemStoreBackend",
                    "base_directory": str(folder),
                },
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            }
        }

    def add(self, table: str, batch_id: str, suite: Any, result: Any) -> None:
        """Keeps the suite of ``table`` and its ``result`` for the pages; empties it of values."""
        from great_expectations.data_context.types.resource_identifiers import (
            ExpectationSuiteIdentifier,
            ValidationResultIdentifier,
        )

        shutil.rmtree(self._folder / "validations" / table.replace(".", "/"), ignore_errors=True)
        for one in result.results:
            for name in list(one.result):
                if name.startswith(("partial_unexpected", "unexpected_list", "unexpected_index")):
                    del one.result[name]
        result.meta |= {"run_id": self._run_id, "validation_time": self._run_id.run_time}
        name = ExpectationSuiteIdentifier(name=table)
        self._context.suites.add(suite)
        self._context.validation_results_store.store_validation_results(
            suite_validation_result=result,
            suite_validation_result_identifier=ValidationResultIdentifier(
                batch_identifier=batch_id, expectation_suite_identifier=name, run_id=self._run_id
            ),
            expectation_suite_identifier=name,
        )

    def build(self) -> dict[str, Path]:
        """Writes the pages.

        Returns:
            The page of each table, and under ``index`` the page that links them.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._context.build_data_docs()
        found = {"index": self._folder / "index.html"}
        root = self._folder / "validations"
        for page in sorted(root.rglob("*.html")):
            schema, name = page.relative_to(root).parts[:2]
            found[f"{schema}.{name}"] = page
        return found
