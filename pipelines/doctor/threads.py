"""Threads against the cores that this process may use."""

import os
from pathlib import Path

from pipelines.doctor.finding import About, Finding
from pipelines.evaluate.config import EvaluateConfig
from pipelines.serve.config import ServeConfig
from pipelines.training.config import ComputeConfig

ABOUT = About("threads")

CGROUP = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """Cores of this process: those that it may run on, fewer in a container with a limit."""
    allowed = len(os.sched_getaffinity(0))
    return min(allowed, _quota() or allowed)


def _quota() -> int | None:
    try:
        quota, period = CGROUP.read_text(encoding="ascii").split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):  # no limit reads "max"
        return None


def training(compute: ComputeConfig) -> list[Finding]:
    """Threads of all workers on this machine."""
    workers = compute.most_workers if compute.runner == "ray" else 1
    asked = workers * (compute.threads + compute.loaders)
    sum_ = f"{workers} x {compute.threads} threads" + (
        f" and {compute.loaders} loaders" * bool(compute.loaders)
    )
    return [_against(f"training: {sum_} = {asked}", asked, "train.compute.workers, threads or loaders")]


def evaluation(config: EvaluateConfig) -> list[Finding]:
    """Threads of the evaluation."""
    return [_against(f"evaluation: {config.threads} threads", config.threads, "evaluate.threads")]


def serving(config: ServeConfig) -> list[Finding]:
    """Threads of all replicas."""
    asked = config.replicas * config.threads
    message = f"endpoint: {config.replicas} x {config.threads} threads = {asked}"
    return [_against(message, asked, "serve.replicas or serve.threads")]


def _against(message: str, asked: int, options: str) -> Finding:
    have = cores()
    if asked <= have:
        return ABOUT.ok(f"{message}, on {have} cores")
    return ABOUT.warning(f"{message}, on {have} cores: they will wait for each other", f"lower {options}")
