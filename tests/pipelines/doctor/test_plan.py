import pytest
import torch

from pipelines.core.errors import CheckpointError
from pipelines.core.layout import Layout
from pipelines.data.photos import PhotoSet
from pipelines.doctor.plan import plan
from pipelines.running.run import Run
from pipelines.training.config import ComputeConfig, TrainConfig


@pytest.fixture
def run(prepared_layout: Layout, config: TrainConfig) -> Run:
    return Run.of(config, PhotoSet.open(prepared_layout.prepare / "train"), prepared_layout)


def lines(config: TrainConfig, layout: Layout) -> dict[str, str]:
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in plan(config, layout)}


def test_a_first_run(run: Run, prepared_layout: Layout, config: TrainConfig) -> None:
    told = lines(config, prepared_layout)
    assert told["run"].startswith(run.identity[:16])
    assert told["begins"] == "at the start: this run has no checkpoint yet"
    assert told["state"] == str(run.folder)
    assert told["steps"] == "6 of 4 patches of 12 px"
    assert told["network"].startswith("edsr, 0.00")
    assert not run.folder.exists()


def test_a_run_that_goes_on(run: Run, prepared_layout: Layout, config: TrainConfig) -> None:
    run.store.save(2, {"a": torch.zeros(1)})
    run.store.save(4, {"a": torch.zeros(1)})
    assert lines(config, prepared_layout)["begins"] == "at step 4 of 6, from its newest whole checkpoint"
    (run.folder / "checkpoints" / "step-00000004" / "state.pt").write_bytes(b"")
    told = list(plan(config, prepared_layout))
    assert "begins      at step 2 of 6, from its newest whole checkpoint" in told
    assert any("checkpoint of step 4" in line and "is damaged" in line for line in told)
    (run.folder / "checkpoints" / "step-00000002" / "state.pt").write_bytes(b"")
    with pytest.raises(CheckpointError):
        list(plan(config, prepared_layout))


def test_a_run_that_is_done(run: Run, prepared_layout: Layout, config: TrainConfig) -> None:
    run.store.save(6, {"a": torch.zeros(1)})
    assert lines(config, prepared_layout)["begins"].startswith("at its end: step 6 of 6 is done")


def test_nothing_is_known_of_a_run_before_its_photographs(layout: Layout, config: TrainConfig) -> None:
    told = lines(config, layout)
    assert told["run"] == "not known before photographs are prepared"
    assert "steps" in told


@pytest.mark.parametrize(
    ("compute", "told"),
    [
        (ComputeConfig(runner="local", threads=3), "this process, or those of torchrun, with 3 threads each"),
        (ComputeConfig(workers=2, threads=1), "2 x 1 threads, on the CPU, in a private Ray cluster"),
        (
            ComputeConfig(workers=(2, 8), threads=4, use_gpu=True, address="10.0.0.1:6379"),
            "2 to 8 x 4 threads, on the GPU, in 10.0.0.1:6379",
        ),
    ],
)
def test_who_works_is_told(layout: Layout, config: TrainConfig, compute: ComputeConfig, told: str) -> None:
    assert lines(config.model_copy(update={"compute": compute}), layout)["workers"].startswith(told)


def test_passwords_are_not_told(layout: Layout, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@tracking.example")
    assert "secret" not in lines(config, layout)["tracking"]
