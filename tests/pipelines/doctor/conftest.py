"""A work tree with small options, in which the doctor finds no fault."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from file_server import closed_port
from pipelines.core.config import parse_section
from pipelines.core.layout import Layout
from pipelines.data.photos import write_photos
from pipelines.doctor import cluster, local, nodes, run
from pipelines.doctor.report import Finding
from pipelines.training.config import TrainConfig
from waiting import UNREACHED_S

OPTIONS = {
    "network": {"architecture": "edsr", "config": {"width": 4, "blocks": 1}},
    "sampling": {"group": 2},
    "compute": {"runner": "local"},
    "precision": "bfloat16",  # nothing is said of it, whatever the CPU has
    "steps": 6,
    "batch_size": 4,
    "patch_px": 12,
    "log_every": 2,
    "checkpoint_every": 2,
}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(autouse=True)
def _no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for an answer however busy the machine is; a test of a limit sets its own."""

    run_checks = run.run_checks

    def run_without_limits(checks: Iterable[run.Check]) -> Iterator[Finding]:
        return run_checks(replace(check, limit_s=UNREACHED_S) for check in checks)

    monkeypatch.setattr(run, "run_checks", run_without_limits)
    monkeypatch.setattr(cluster, "CONNECT_TIMEOUT_S", UNREACHED_S)
    monkeypatch.setattr(cluster, "PROBE_TIMEOUT_S", UNREACHED_S)
    monkeypatch.setattr(nodes, "NODES_TIMEOUT_S", UNREACHED_S)
    monkeypatch.setattr(nodes, "VISIBLE_WITHIN_S", UNREACHED_S)
    monkeypatch.setattr(local, "TRACKING_TIMEOUT_S", UNREACHED_S)


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port of the loopback that nothing listens at."""
    with closed_port() as port:
        yield port


@pytest.fixture
def config() -> TrainConfig:
    return parse_section(OPTIONS, "train", TrainConfig)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"train": OPTIONS, "serve": {"port": 0}}))
    return Layout(tmp_path)


@pytest.fixture
def prepared_layout(layout: Layout) -> Layout:
    """With two photographs of 20 x 24 px to train on."""
    random = np.random.default_rng(0)
    photos = [(f"{i}.png", random.integers(0, 256, (20, 24, 3), dtype=np.uint8)) for i in range(2)]
    write_photos(layout.prepare / "train", photos)
    (layout.prepare / "record.json").write_text('{"source": {"source": "skimage"}, "test_source": null}')
    return layout
