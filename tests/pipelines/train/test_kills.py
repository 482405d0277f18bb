"""The stage as a process that is asked to stop or killed: alone, under ``dvc repro``, with Ray below it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from pipelines.paths import Layout
from pipelines.train.config import TrainConfig
from pipelines.train.run import Run
from stages import REPOSITORY, ended, reach, start, write_params

STEPS = 600


def undisturbed(config: TrainConfig, layout: Layout, **compute: Any) -> Run:
    """A run of some seconds, which still is to begin."""
    values = config.model_dump(mode="json") | {
        "steps": STEPS,
        "log_every": 20,
        "checkpoint_every": 100,
        "compute": {"threads": 1, "workers": 1, "runner": "local", **compute},
    }
    return write_params(layout, values)


def assert_whole(run: Run, layout: Layout) -> None:
    """It ended, and every point of the curve is there."""
    assert (layout.train / "record.json").exists()
    assert [point.step for point in run.log.curve(STEPS)] == list(range(20, STEPS + 1, 20))


def test_ctrl_c_and_sigterm_checkpoint_and_say_so_to_the_shell(config: TrainConfig, layout: Layout) -> None:
    run = undisturbed(config, layout)
    at = 0
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        stage = start(layout)
        reach(run, at + 40, stage)
        stage.send_signal(number)
        said = ended(stage, code)
        newest = run.store.newest()
        assert newest is not None
        assert newest > at
        assert f"stopped behind a checkpoint of step {newest}" in said
        assert "go on with: python -m pipelines all" in said
        at = newest
    said = ended(start(layout), 0)
    assert f"going on from step {at}" in said
    assert_whole(run, layout)


@pytest.fixture
def stage_of_dvc(layout: Layout) -> Layout:
    """A work tree where ``dvc repro`` trains."""
    outs = [f"artifacts/train/{name}" for name in ("model.safetensors", "record.json")]
    stage = {"cmd": "python -m pipelines train", "deps": ["artifacts/prepare/train"], "outs": outs}
    (layout.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": stage}}))
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=layout.root, check=True)
    return layout


def repro(layout: Layout) -> subprocess.Popen[str]:
    own = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "MLFLOW_TRACKING_URI": f"sqlite:///{layout.root}/mlflow.db",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro"],
        cwd=layout.root,
        env=os.environ | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_killed_dvc_leaves_no_orphan_and_the_next_one_carries_on(
    config: TrainConfig, stage_of_dvc: Layout
) -> None:
    run = undisturbed(config, stage_of_dvc)
    first = repro(stage_of_dvc)
    reach(run, 60, first)
    [stage] = [p for p in psutil.Process(first.pid).children(recursive=True) if "pipelines" in p.cmdline()]
    first.kill()
    first.wait()
    said = ended(repro(stage_of_dvc), 0)  # at once, while the stage of the first is ending
    assert not stage.is_running()
    assert "going on from step" in said
    assert_whole(run, stage_of_dvc)
    first.communicate()  # what the orphan wrote


@pytest.mark.faults
def test_a_driver_that_is_stopped_and_one_that_is_killed_take_ray_along(
    config: TrainConfig, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    run = undisturbed(config, layout, runner="ray", workers=2)
    asked = start(layout)
    reach(run, 40, asked)
    asked.send_signal(signal.SIGTERM)
    assert "stopped behind a checkpoint of step" in ended(asked, 143)
    at = run.store.newest() or 0
    assert at >= 40

    first = start(layout)
    reach(run, at + 60, first)
    below = psutil.Process(first.pid).children(recursive=True)
    assert any("raylet" in process.name() for process in below)
    first.kill()
    _, alive = psutil.wait_procs(below, timeout=10)
    # Ray's agents of a node take some minutes to see that it is gone; they touch nothing of a run.
    assert [process.name() for process in alive if not process.name().endswith("Agent")] == []
    for agent in alive:
        agent.kill()
    first.communicate()
    said = ended(start(layout), 0)
    assert int(said.partition("going on from step ")[2].partition(",")[0]) >= at
    assert_whole(run, layout)
