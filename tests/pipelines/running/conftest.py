"""Work trees of runs that are tracked."""

import shutil
from pathlib import Path

import pytest

from pipelines.core.layout import Layout


@pytest.fixture
def layout(layout: Layout, migrated: Path) -> Layout:
    """With MLflow's database, which the first process of each test would take seconds to make."""
    shutil.copy(migrated, layout.root / "mlflow.db")
    return layout
