"""Work trees of stages that are tracked."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def database(tmp_path: Path, migrated: Path) -> None:
    """MLflow's, which the first run of each test would take seconds to make."""
    shutil.copy(migrated, tmp_path / "mlflow.db")
