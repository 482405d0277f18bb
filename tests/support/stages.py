"""A stage as a process of its own: started, waited for, disturbed."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from pipelines.config import parse_section
from pipelines.data.photos import PhotoSet
from pipelines.paths import Layout
from pipelines.train.config import TrainConfig
from pipelines.train.run import Run

REPOSITORY = Path(__file__).parents[2]


def write_params(layout: Layout, values: dict[str, Any]) -> Run:
    """Options for the work tree, and the run that they make."""
    layout.params.write_text(yaml.safe_dump({"train": values}))
    parsed = parse_section(values, "train", TrainConfig)
    return Run.of(parsed, PhotoSet.open(layout.prepare / "train"), layout)


def start(layout: Layout, *before: str, stage: str = "train", **environment: str) -> subprocess.Popen[str]:
    """The stage; ``before`` are options of Python that start it in another way."""
    own = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{layout.root}/mlflow.db",
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, *before, "-m", "pipelines", stage, "--root", str(layout.root)],
        cwd=layout.root,
        env={**os.environ, **own, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def reach(run: Run, step: int, process: subprocess.Popen[str], timeout_s: float = 400) -> None:
    """Wait until the run's log has that step."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        points, _ = run.log.read()
        if points and points[-1].step >= step:
            return
        if process.poll() is not None:
            raise AssertionError(process.communicate()[0])
        time.sleep(0.02)
    raise AssertionError(f"the run did not reach step {step}")


def ended(process: subprocess.Popen[str], code: int, timeout_s: float = 400) -> str:
    """What the process said, when it has ended with that code."""
    try:
        said, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(process.communicate()[0]) from None
    assert process.returncode == code, said
    return said
