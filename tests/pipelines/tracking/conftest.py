import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipelines.tracking import tracking_uri


@pytest.fixture
def root(tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A work tree with an empty database."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = tmp_path / "tree"
    root.mkdir()
    shutil.copy(migrated, root / "mlflow.db")
    return root


@pytest.fixture
def client(root: Path) -> MlflowClient:
    return MlflowClient(tracking_uri(root))
