import shutil
from pathlib import Path

import numpy as np
import pytest

from pipelines.core.layout import Layout
from pipelines.data.photos import write_photos


@pytest.fixture(autouse=True)
def private(patient_tracking: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the cluster nor the MLflow of whoever runs the tests."""
    for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def layout(tmp_path: Path, migrated: Path) -> Layout:
    """What ``prepare`` leaves of a few generated photographs, beside MLflow's database."""
    layout = Layout(tmp_path)
    shutil.copy(migrated, layout.root / "mlflow.db")
    random = np.random.default_rng(0)
    for split, count in (("train", 2), ("validation", 2)):
        photos = [(f"{i}.png", random.integers(0, 256, (20, 24, 3), dtype=np.uint8)) for i in range(count)]
        write_photos(layout.prepare / split, photos)
    return layout
