from pathlib import Path

import numpy as np
import pytest
import torch

from command_line import tunable
from pipelines.core.errors import CheckpointError
from pipelines.core.layout import Layout
from pipelines.data.photos import PhotoSet, write_photos
from pipelines.doctor.dry_run import describe_training
from pipelines.running.run import Run
from pipelines.training.config import ComputeConfig, TrainConfig


def files(root: Path) -> dict[str, bytes]:
    return {path.as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def hold_out(layout: Layout) -> None:
    """A photograph for a search to score on."""
    photo = np.random.default_rng(1).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    write_photos(layout.prepare / "validation", [("held-out.png", photo)])


@pytest.mark.parametrize("stage", ["prepare", "train", "search", "evaluate", "publish", "all"])
def test_nothing_is_done(prepared_layout: Layout, stage: str) -> None:
    hold_out(prepared_layout)
    before = files(prepared_layout.root)
    command = ["search"] if stage == "search" else ["run", stage]
    result = tunable(*command, "--dry-run", "--root", prepared_layout.root)
    out = result.stdout
    assert result.exit_code == (1 if stage in ("evaluate", "publish") else 0)  # nothing is trained yet
    assert ("begins      at the start" in out) == (stage in ("train", "all"))
    assert ("concurrent  " in out) == (stage == "search")
    assert "params" in out
    assert files(prepared_layout.root) == before


def test_a_search_joins_the_cluster_of_the_environment(
    prepared_layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_out(prepared_layout)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    result = tunable("search", "--dry-run", "--root", prepared_layout.root)
    assert result.exit_code == 0
    assert "in 10.0.0.1:6379" in result.stdout


def test_damaged_checkpoints_are_a_fault_among_the_findings(
    prepared_layout: Layout, config: TrainConfig
) -> None:
    run = Run.of(config, PhotoSet.open(prepared_layout.prepare / "train"), prepared_layout)
    (run.folder / "checkpoints" / "step-00000002").mkdir(parents=True)
    result = tunable("run", "train", "--dry-run", "--root", prepared_layout.root)
    assert result.exit_code == 1
    assert "fault    plan " in result.stdout
    assert "ok       disk" in result.stdout


def test_options_that_do_not_parse_are_a_fault(layout: Layout) -> None:
    layout.params.write_text("train: {stesp: 3}\n")
    result = tunable("run", "train", "--dry-run", "--root", layout.root)
    assert result.exit_code == 1
    assert "did you mean 'steps'" in result.stdout


def test_an_unknown_stage_is_one_line(layout: Layout) -> None:
    result = tunable("run", "tarin", "--dry-run", "--root", layout.root)
    assert result.exit_code == 1
    assert "unknown stage 'tarin'" in result.stderr


@pytest.fixture
def run(prepared_layout: Layout, config: TrainConfig) -> Run:
    return Run.of(config, PhotoSet.open(prepared_layout.prepare / "train"), prepared_layout)


def describe(config: TrainConfig, layout: Layout) -> dict[str, str]:
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in describe_training(config, layout)}


def test_a_first_run(run: Run, prepared_layout: Layout, config: TrainConfig) -> None:
    lines = describe(config, prepared_layout)
    assert lines["run"].startswith(run.identity[:16])
    assert lines["begins"] == "at the start: this run has no checkpoint yet"
    assert lines["state"] == str(run.folder)
    assert lines["steps"] == "6 of 4 patches of 12 px"
    assert lines["network"].startswith("edsr, 0.00")
    assert not run.folder.exists()


def test_a_run_that_resumes(run: Run, prepared_layout: Layout, config: TrainConfig) -> None:
    run.store.save(2, {"a": torch.zeros(1)})
    run.store.save(4, {"a": torch.zeros(1)})
    assert describe(config, prepared_layout)["begins"] == "at step 4 of 6, from its newest whole checkpoint"
    (run.folder / "checkpoints" / "step-00000004" / "state.pt").write_bytes(b"")
    lines = list(describe_training(config, prepared_layout))
    assert "begins      at step 2 of 6, from its newest whole checkpoint" in lines
    assert any("checkpoint of step 4" in line and "is damaged" in line for line in lines)
    (run.folder / "checkpoints" / "step-00000002" / "state.pt").write_bytes(b"")
    with pytest.raises(CheckpointError):
        list(describe_training(config, prepared_layout))


def test_a_run_that_is_done(run: Run, prepared_layout: Layout, config: TrainConfig) -> None:
    run.store.save(6, {"a": torch.zeros(1)})
    assert describe(config, prepared_layout)["begins"].startswith("at its end: step 6 of 6 is done")


def test_nothing_is_known_of_a_run_before_its_photographs(layout: Layout, config: TrainConfig) -> None:
    lines = describe(config, layout)
    assert lines["run"].startswith("unknown")
    assert "steps" in lines


@pytest.mark.parametrize(
    ("compute", "workers"),
    [
        (ComputeConfig(runner="local", threads=3), "this process, or those of torchrun, with 3 threads each"),
        (ComputeConfig(workers=2, threads=1), "2 x 1 threads, on the CPU, in a private Ray cluster"),
        (
            ComputeConfig(workers=(2, 8), threads=4, use_gpu=True, address="10.0.0.1:6379"),
            "2 to 8 x 4 threads, on the GPU, in 10.0.0.1:6379",
        ),
    ],
)
def test_workers_are_described(
    layout: Layout, config: TrainConfig, compute: ComputeConfig, workers: str
) -> None:
    assert describe(config.model_copy(update={"compute": compute}), layout)["workers"].startswith(workers)


def test_passwords_are_not_printed(
    layout: Layout, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@tracking.example")
    assert "secret" not in describe(config, layout)["tracking"]
