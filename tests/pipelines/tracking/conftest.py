import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipelines.tracking import tracking_uri


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database: making one takes seconds."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


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
