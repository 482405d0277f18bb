"""The local runner, in this process and in two of torchrun's."""

import signal
from dataclasses import replace
from typing import Any

import pytest
import torch

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.core.layout import Layout
from pipelines.running.job import TrainJob
from pipelines.running.local import run_local
from pipelines.running.run import Run
from pipelines.training.config import TrainConfig
from pipelines.training.log import RunLog
from pipelines.training.loop import Hooks
from stages import ended, reach, start, write_params


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_an_error(job: TrainJob) -> None:
    compute = job.config.compute.model_copy(update={"use_gpu": True})
    with pytest.raises(ConfigError, match="use_gpu"):
        run_local(replace(job, config=job.config.model_copy(update={"compute": compute})), Hooks())


def test_it_leaves_checkpoints_a_log_and_pictures(job: TrainJob) -> None:
    run_local(job, Hooks())
    folder = job.folder
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"step-00000004", "step-00000006"}
    assert (folder / "log.jsonl").exists()
    assert len(list((folder / "samples").glob("step-*.png"))) == 3


STEPS = 100
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


def curve(log: RunLog) -> list[tuple[int, float, float]]:
    return [(point.step, point.loss, point.grad_norm) for point in log.curve(STEPS)]


def stop_and_resume(layout: Layout, run: Run) -> list[tuple[int, float, float]]:
    first = start(layout, *TWO, hold_after=45)
    reach(run, 40, first)
    first.send_signal(signal.SIGTERM)
    said, _ = first.communicate()
    assert "stopping at the next step" in said
    at = run.store.newest()
    assert at is not None
    assert 40 <= at < STEPS
    assert f"resuming from step {at}" in ended(start(layout, *TWO), 0)
    assert (layout.train / "record.json").exists()
    assert {point.workers for point in run.log.read()[0]} == {2}
    return curve(run.log)


@pytest.mark.faults
@pytest.mark.slow
def test_processes_with_nothing_left_to_train_do_not_wait_for_each_other(
    config: TrainConfig, layout: Layout
) -> None:
    values = config.model_dump(mode="json") | {"compute": {"runner": "local", "threads": 1}}
    write_params(layout, values)
    for _ in range(2):
        ended(start(layout, *TWO), 0)


@pytest.mark.slow
def test_two_processes_stop_resume_and_agree_with_one(config: TrainConfig, layout: Layout) -> None:
    """SIGTERM checkpoints and ends; that the numbers are the same bits is tested with the collectives."""
    more: dict[str, Any] = {"steps": STEPS, "log_every": 10, "checkpoint_every": 50}
    values = config.model_dump(mode="json") | more | {"compute": {"runner": "local", "threads": 1}}
    run = write_params(layout, values)
    two = stop_and_resume(layout, run)

    alone = parse_section(values, "train", TrainConfig)
    one_folder = layout.state / "one"
    run_local(TrainJob.from_layout(alone, layout, folder=one_folder, fingerprint=run.identity), Hooks())
    one = curve(RunLog(one_folder))
    assert [step for step, _, _ in one] == [step for step, _, _ in two]
    assert one[0][1] == pytest.approx(two[0][1], rel=1e-5)  # rounding, before it had time to grow
    assert [loss for _, loss, _ in one] == pytest.approx([loss for _, loss, _ in two], rel=1e-3)
