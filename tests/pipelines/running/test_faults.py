"""Kills without warning, again and again; minutes long."""

import random
import signal
import subprocess

import pytest

from pipelines.core.layout import Layout
from pipelines.running.run import Run
from pipelines.training.config import TrainConfig
from stages import ended, start, write_params

STEPS = 800


def curve(run: Run) -> list[tuple[int, float, float]]:
    return [(point.step, point.loss, point.grad_norm) for point in run.log.curve(STEPS)]


@pytest.mark.faults
@pytest.mark.slow
def test_killed_at_any_moment_a_run_ends_with_the_curve_of_an_undisturbed_one(
    config: TrainConfig, layout: Layout
) -> None:
    values = config.model_dump(mode="json") | {
        "steps": STEPS,
        "log_every": 5,
        "checkpoint_every": 5,  # so that many kills meet a checkpoint that is being written
        "ema_decay": 0.9,
        "compute": {"runner": "local", "threads": 1},
    }
    run = write_params(layout, values)
    moments = random.Random(0)
    for _ in range(12):
        stage = start(layout)
        try:
            stage.wait(timeout=moments.uniform(4, 12))
        except subprocess.TimeoutExpired:
            stage.send_signal(signal.SIGKILL)
        stage.communicate()
    ended(start(layout), 0)
    disturbed = curve(run)

    run.folder.rename(layout.state / "disturbed")
    ended(start(layout), 0)
    assert curve(run) == disturbed
