"""A stage as a process of its own: started, waited for, disturbed."""

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from pipelines.core.config import parse_section
from pipelines.core.layout import Layout
from pipelines.data.photos import PhotoSet
from pipelines.running.run import Run
from pipelines.training.config import TrainConfig
from waiting import wait_until

REPOSITORY = Path(__file__).parents[2]
HOLD = Path(__file__).parent / "hold"

_started: list[subprocess.Popen[str]] = []


def write_params(layout: Layout, values: dict[str, Any]) -> Run:
    """Options for the work tree, and the run that they make."""
    layout.params.write_text(yaml.safe_dump({"train": values}))
    parsed = parse_section(values, "train", TrainConfig)
    return Run.of(parsed, PhotoSet.open(layout.prepare / "train"), layout)


def start(
    layout: Layout, *before: str, stage: str = "train", hold_after: int | None = None, hold_not: int = 0
) -> subprocess.Popen[str]:
    """Start a stage.

    Args:
        layout: the work tree.
        before: options of Python that start it in another way.
        stage: its name.
        hold_after: steps after which each process of a run waits until it is asked to stop or is killed.
        hold_not: how many runs, in the order of their starts, do not wait.
    """
    command = [*before, "-m", "pipelines", stage, "--root", str(layout.root)]
    return start_python(layout, *command, hold_after=hold_after, hold_not=hold_not)


def start_python(
    layout: Layout, *arguments: str, hold_after: int | None = None, hold_not: int = 0
) -> subprocess.Popen[str]:
    """Start Python in a work tree, with its programs on PATH; :func:`end_started` ends it."""
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"sqlite:///{layout.root}/mlflow.db",
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
    }
    if hold_after is not None:
        environment |= {
            "PYTHONPATH": f"{HOLD}:{REPOSITORY}",
            "HOLD_AFTER_STEPS": str(hold_after),
            "HOLD_NOT": str(hold_not),
            "HOLD_MARKS": tempfile.mkdtemp(dir=layout.root),
        }
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=layout.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    _started.append(process)
    return process


def end_started() -> None:
    """Kill what is left of the processes that were started, and what they started."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        child.kill()
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def reach(run: Run, step: int, process: subprocess.Popen[str]) -> None:
    """Wait until the run's log has that step."""

    def has_come() -> bool:
        ended_early = process.poll() is not None
        points, _ = run.log.read()
        if points and points[-1].step >= step:
            return True
        assert not ended_early, process.communicate()[0]
        return False

    wait_until(has_come)


def ended(process: subprocess.Popen[str], code: int) -> str:
    """What the process printed, once it has ended with that exit code."""
    said, _ = process.communicate()
    assert process.returncode == code, said
    return said
