"""The stage as a process that is asked to stop or killed: alone, under ``dvc repro``, with Ray below it."""

import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any

import psutil
import pytest
import yaml

from pipelines.core.layout import Layout
from pipelines.running.run import Run
from pipelines.training.config import TrainConfig
from stages import ended, reach, start, start_python, write_params
from waiting import wait_until

STEPS = 120

pytestmark = pytest.mark.slow


def undisturbed(config: TrainConfig, layout: Layout, **compute: Any) -> Run:
    """A short run, which still is to begin."""
    values = config.model_dump(mode="json") | {
        "steps": STEPS,
        "log_every": 10,
        "checkpoint_every": 30,
        "compute": {"threads": 1, "workers": 1, "runner": "local", **compute},
    }
    return write_params(layout, values)


def assert_whole(run: Run, layout: Layout) -> None:
    """It ended, and every point of the curve is there."""
    assert (layout.train / "record.json").exists()
    assert [point.step for point in run.log.curve(STEPS)] == list(range(10, STEPS + 1, 10))


def test_ctrl_c_and_sigterm_checkpoint_and_say_so_to_the_shell(config: TrainConfig, layout: Layout) -> None:
    run = undisturbed(config, layout)
    at = 0
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        stage = start(layout, hold_after=45)
        reach(run, at + 30, stage)
        stage.send_signal(number)
        said = ended(stage, code)
        newest = run.store.newest()
        assert newest is not None
        assert newest > at
        assert f"stopped after a checkpoint of step {newest}" in said
        assert "resume with: tunable run train --root" in said
        at = newest
    said = ended(start(layout), 0)
    assert f"resuming from step {at}" in said
    assert_whole(run, layout)


REPRO = ("-m", "dvc", "repro")


def _is_tunable(process: psutil.Process) -> bool:
    return any(argument.endswith("/tunable") for argument in process.cmdline())


@pytest.fixture
def stage_of_dvc(layout: Layout) -> Layout:
    """A work tree where ``dvc repro`` trains."""
    outs = [f"artifacts/train/{name}" for name in ("model.safetensors", "record.json")]
    stage = {"cmd": "tunable run train", "deps": ["artifacts/prepare/train"], "outs": outs}
    (layout.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": stage}}))
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=layout.root, check=True)
    return layout


@pytest.mark.faults
def test_a_killed_dvc_leaves_no_orphan_and_the_next_one_carries_on(
    config: TrainConfig, stage_of_dvc: Layout
) -> None:
    run = undisturbed(config, stage_of_dvc)
    first = start_python(stage_of_dvc, *REPRO, hold_after=45)
    reach(run, 40, first)
    [stage] = [p for p in psutil.Process(first.pid).children(recursive=True) if _is_tunable(p)]
    first.kill()
    first.wait()
    said = ended(start_python(stage_of_dvc, *REPRO), 0)  # at once, while the stage of the first is ending
    assert not stage.is_running()
    assert "resuming from step" in said
    assert_whole(run, stage_of_dvc)
    first.communicate()  # what the orphan wrote


@pytest.mark.faults
@pytest.mark.cluster
def test_a_driver_that_is_stopped_and_one_that_is_killed_take_ray_along(
    config: TrainConfig, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    run = undisturbed(config, layout, runner="ray", workers=2)
    asked = start(layout, hold_after=45)
    reach(run, 40, asked)
    asked.send_signal(signal.SIGTERM)
    assert "stopped after a checkpoint of step" in ended(asked, 143)
    at = run.store.newest() or 0
    assert at >= 40

    first = start(layout, hold_after=45)
    reach(run, at + 30, first)
    below = psutil.Process(first.pid).children(recursive=True)
    assert any("raylet" in process.name() for process in below)
    # Ray's agents of a node take some minutes to see that it is gone; they touch nothing of a run.
    agents = [process for process in below if process.name().endswith("Agent")]
    first.kill()
    wait_until(lambda: not any(process.is_running() for process in below if process not in agents))
    for agent in agents:
        with suppress(psutil.NoSuchProcess):
            agent.kill()
    first.communicate()
    said = ended(start(layout), 0)
    assert int(said.partition("resuming from step ")[2].partition(",")[0]) >= at
    assert_whole(run, layout)
