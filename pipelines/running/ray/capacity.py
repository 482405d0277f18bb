"""Cluster capacity: how many workers fit on its nodes, and a warning while none runs.

A worker needs its CPUs, and its GPU, on one node.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from pipelines.core.progress import tell
from pipelines.training.config import ComputeConfig

Resources = Mapping[str, float]

SILENT_S = 60.0
"""Longer than workers take to start on most clusters."""


@dataclass(frozen=True)
class Capacity:
    """Workers that fit and workers that are requested; as text, the arithmetic.

    Attributes:
        compute: the request.
        nodes: resources of each node when nothing runs, by Ray's names.
        fit: how many workers fit.
    """

    compute: ComputeConfig
    nodes: Sequence[Resources]
    fit: int

    @classmethod
    def of(cls, nodes: Sequence[Resources], compute: ComputeConfig) -> Self:
        """The capacity of these nodes."""
        return cls(compute, nodes, sum(_count_fitting(node, compute) for node in nodes))

    @property
    def can_start(self) -> bool:
        """Whether as many workers fit as a run needs."""
        return self.fit >= self.compute.least_workers

    @property
    def is_full(self) -> bool:
        """Whether as many workers fit as a run can use."""
        return self.fit >= self.compute.most_workers

    def __str__(self) -> str:
        count = len(self.nodes)
        fit = f"{count} node{'s' * (count != 1)} with {format_resources(self.nodes)} fit {self.fit}"
        return f"requested {format_request(self.compute)}; {fit}"


def format_request(compute: ComputeConfig) -> str:
    """The workers that a run requests, such as ``2 workers with 1 CPU each``."""
    least, most = compute.least_workers, compute.most_workers
    count = f"{least}" if least == most else f"{least} to {most}"
    cpus = f"{compute.threads} CPU{'s' * (compute.threads != 1)}{' and 1 GPU' * compute.use_gpu}"
    return f"{count} worker{'s' * (most != 1)} with {cpus}{' each' * (most != 1)}"


def format_resources(nodes: Sequence[Resources]) -> str:
    """Total resources of nodes, such as ``8 CPUs, 1 GPUs``."""
    return ", ".join(f"{sum(node.get(kind, 0) for node in nodes):g} {kind}s" for kind in ("CPU", "GPU"))


def _count_fitting(node: Resources, compute: ComputeConfig) -> int:
    by_cpu = math.floor(node.get("CPU", 0) / compute.threads)
    return min(by_cpu, math.floor(node.get("GPU", 0))) if compute.use_gpu else by_cpu


class IdleWarning:
    """Warn once when no worker is running, and report once that they are; Ray waits for resources silently.

    Args:
        compute: the request.
        free_resources: those of the cluster, None if unknown.
    """

    def __init__(self, compute: ComputeConfig, free_resources: Callable[[], Resources | None]) -> None:
        self._compute, self._free_resources = compute, free_resources
        self._warned = False

    def __call__(self, silent_s: float) -> None:
        """Report a change, given the seconds since a worker last polled."""
        is_silent = silent_s > SILENT_S
        if is_silent != self._warned:
            tell(f"train: {self._describe_shortage() if is_silent else 'workers are running'}")
        self._warned = is_silent

    def _describe_shortage(self) -> str:
        free = self._free_resources()
        left = "unknown" if free is None else format_resources([free])
        return f"no worker is running: requested {format_request(self._compute)}, free: {left}; waiting"
