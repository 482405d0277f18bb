from pathlib import Path

import pytest

from pipelines.core.layout import Layout
from tiny_search import make_layout


@pytest.fixture(autouse=True)
def private(patient_tracking: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the cluster nor the MLflow of whoever runs the tests."""
    for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def layout(tmp_path: Path, migrated: Path) -> Layout:
    return make_layout(tmp_path, migrated)
