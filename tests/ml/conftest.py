"""MLflow on SQLite, so that the tests of files need no server."""

from pathlib import Path

import pytest

from leadengine.settings import Settings, load_settings


@pytest.fixture(scope="session")
def file_settings(tmp_path_factory: pytest.TempPathFactory, clean_environment: None) -> Settings:
    """Settings that keep MLflow's records in a SQLite file of this test run's own."""
    home: Path = tmp_path_factory.mktemp("ml-home")
    return load_settings(
        _env_file=None,
        leadengine_home=home,
        mlflow_tracking_uri=f"sqlite:///{home / 'mlflow.db'}",
    )
