import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from pipelines.core.config import parse_section
from pipelines.core.layout import Layout
from pipelines.data.config import PrepareConfig
from pipelines.doctor import disk
from pipelines.doctor.disk import NetworkSize, estimate_photo_bytes, estimate_run_bytes, measure_network
from pipelines.doctor.options import Options
from pipelines.tasks import make_task
from pipelines.training.config import TrainConfig
from pipelines.training.learner import Learner


def options(**values: object) -> PrepareConfig:
    return parse_section(values, "prepare", PrepareConfig)


@pytest.mark.parametrize(("free", "level"), [(99, "fault"), (150, "warning"), (10**9, "ok")])
def test_free_space_is_compared(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, free: int, level: str
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": free}))
    found = disk.compare_space(layout, {"photographs": 60, "checkpoints": 40, "weights": 0})
    assert found.level == level
    assert "about 100 B to be written: photographs 60 B, checkpoints 40 B" in found.message
    assert "weights" not in found.message


def test_a_work_tree_that_can_be_written_keeps_no_trace(layout: Layout) -> None:
    assert [finding.level for finding in disk.check_disk(Options(), layout)] == ["ok"]
    assert [path.name for path in layout.root.iterdir()] == ["params.yaml"]


def test_a_work_tree_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    [found] = disk.check_disk(Options(), Layout(tmp_path / "gone"))
    assert found.level == "fault"
    assert "No such file" in found.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_missing_rights_are_a_fault(layout: Layout) -> None:
    layout.root.chmod(0o500)
    [found] = disk.check_disk(Options(), layout)
    layout.root.chmod(0o700)
    assert found.level == "fault"


def test_decoded_photographs_are_estimated_from_their_headers(layout: Layout) -> None:
    folder = layout.root / "photos"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(folder / f"{i}.png")
    assert estimate_photo_bytes(options(source="photos"), layout) == 3 * 30 * 40 * 3
    small = options(source="photos", max_side_px=20, min_side_px=8)
    assert estimate_photo_bytes(small, layout) == 3 * 15 * 20 * 3
    (folder / "broken.png").write_bytes(b"no picture")
    assert estimate_photo_bytes(options(source="photos"), layout) == 3 * 30 * 40 * 3


def test_many_photographs_are_estimated_from_a_sample(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "SAMPLED_HEADERS", 2)
    folder = layout.root / "photos"
    folder.mkdir()
    for i in range(10):
        Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(folder / f"{i}.png")
    assert estimate_photo_bytes(options(source="photos"), layout) == 10 * 30 * 40 * 3


@pytest.mark.parametrize("source", ["nowhere", "kodak", "s3://bucket/photos"])
def test_sources_that_are_not_local_are_not_counted(layout: Layout, source: str) -> None:
    assert estimate_photo_bytes(options(source=source), layout) == 0


def test_prepared_photographs_need_no_more_space(prepared_layout: Layout) -> None:
    assert estimate_photo_bytes(options(), prepared_layout) == 0


def test_one_shard_at_a_time_is_local_on_the_way_to_a_url(layout: Layout) -> None:
    away = options(destination="s3://bucket/prepared", shard_mb=1)
    assert estimate_photo_bytes(away, layout) == 2**20


def test_a_run_keeps_one_checkpoint_more_for_a_moment() -> None:
    size = NetworkSize(parameters=100, trained=100)
    assert estimate_run_bytes(size, keep=2) == {"checkpoints": 3 * 1600, "weights": 4 * 400}


def test_the_size_is_that_of_the_trained_files(config: TrainConfig, layout: Layout) -> None:
    config = config.model_copy(
        update={
            "network": config.network.model_copy(update={"config": {"width": 48, "blocks": 2}}),
            "ema_decay": 0.9,
        }
    )
    size = measure_network(config, layout.root)
    learner = Learner(config, make_task(config.task), torch.device("cpu"))
    network = learner.network
    assert size.parameters == size.trained == sum(p.numel() for p in network.parameters())
    weights = len(safetensors.torch.save(network.state_dict()))
    assert size.weights_bytes < weights < 1.05 * size.weights_bytes
    for parameter in network.parameters():  # Adam's moments are there after a step
        parameter.grad = torch.zeros_like(parameter)
    learner._optimizer.step()
    file = layout.root / "state.pt"
    torch.save(learner.state(), file)
    assert 0.95 * size.checkpoint_bytes < file.stat().st_size < 1.1 * size.checkpoint_bytes


def test_a_checkpoint_to_start_from_is_not_read(layout: Layout) -> None:
    network = {
        "architecture": "edsr",
        "config": {"width": 4, "blocks": 1},
        "start": "nowhere.pth",
        "train": "deltas",
    }
    config = parse_section({"network": network}, "train", TrainConfig)
    size = measure_network(config, layout.root)
    assert 0 < size.trained < size.parameters
    assert size.checkpoint_bytes < 16 * size.parameters


def test_a_large_network_takes_no_memory_for_it(layout: Layout) -> None:
    network = {"architecture": "nafnet", "preset": "w64"}
    size = measure_network(parse_section({"network": network}, "train", TrainConfig), layout.root)
    assert size.parameters > 3e8
