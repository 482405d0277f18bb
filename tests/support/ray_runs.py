"""Runs on Ray Train for tests: small ones that are held, killed or asked to stop at a step."""

import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from pipelines.core.config import parse_section
from pipelines.core.layout import Layout
from pipelines.running.job import TrainJob
from pipelines.training.config import TrainConfig
from pipelines.training.log import RunLog
from pipelines.training.loop import Hooks
from tunable_models import TunableNetwork
from waiting import wait_until

STEPS = 120


def options_of(config: TrainConfig, compute: dict[str, Any]) -> TrainConfig:
    values = config.model_dump() | {
        "steps": STEPS,
        "checkpoint_every": 50,
        "log_every": 10,
        "compute": compute,
    }
    return parse_section(values, "train", TrainConfig)


def make_job(config: TrainConfig, layout: Layout, folder: str) -> TrainJob:
    return TrainJob.from_layout(config, layout, folder=layout.state / folder, fingerprint="print")


def at_step(log: RunLog, step: int, act: Callable[[], bool]) -> threading.Thread:
    """A thread that acts when the log has that step, again until it worked."""

    def acted() -> bool:
        points, _ = log.read()
        return bool(points) and points[-1].step >= step and act()

    thread = threading.Thread(target=wait_until, args=(acted,), daemon=True)
    thread.start()
    return thread


def hold_until(sign: Path) -> Hooks:
    """Hooks by which worker 0 waits after each checkpoint, until that file exists."""

    def wait(step: int, network: TunableNetwork) -> None:
        while not sign.exists():  # not by a module of the tests, which workers do not find
            time.sleep(0.02)

    return Hooks(at_checkpoint=wait)


def kill_process(name: str, killed: list[int]) -> bool:
    """End one of Ray's processes without a chance to clean up."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # one that has just ended
            if name in " ".join(process.cmdline()):
                process.send_signal(signal.SIGKILL)
                killed.append(process.pid)
                return True
    return False
