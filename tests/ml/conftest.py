"""MLflow on SQLite, so that the tests of files need no server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from leadengine.settings import Settings, load_settings
from ml import search


@pytest.fixture(scope="session", autouse=True)
def quick_search() -> Iterator[None]:
    """One setting a training: the search has tests of its own, and a minute is a minute."""
    patch = pytest.MonkeyPatch()
    patch.setattr(search, "MOST_TRIALS", 1)
    patch.setattr(search, "SKLEARN_CELLS", 0)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def file_settings(tmp_path_factory: pytest.TempPathFactory, clean_environment: None) -> Settings:
    """Settings that keep MLflow's records in a SQLite file of this test run's own."""
    home: Path = tmp_path_factory.mktemp("ml-home")
    return load_settings(
        _env_file=None,
        leadengine_home=home,
        mlflow_tracking_uri=f"sqlite:///{home / 'mlflow.db'}",
    )
