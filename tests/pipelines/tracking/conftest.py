import os
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipelines.tracking import tracking_uri


@pytest.fixture(autouse=True)
def _no_git_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever temporary folders lie, and whatever git has been told before, they are no work tree."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


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
