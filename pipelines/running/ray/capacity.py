"""Room for workers on the nodes of a cluster: each wants its CPUs, and its GPU, on one node."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from pipelines.training.config import ComputeConfig

Resources = Mapping[str, float]


@dataclass(frozen=True)
class Room:
    """Workers that fit, against those that are asked for; as text, the arithmetic.

    Attributes:
        compute: what is asked for.
        nodes: what each has when nothing runs, by Ray's names.
        fit: how many workers have room.
    """

    compute: ComputeConfig
    nodes: Sequence[Resources]
    fit: int

    @classmethod
    def of(cls, nodes: Sequence[Resources], compute: ComputeConfig) -> Self:
        """The room on these nodes."""
        return cls(compute, nodes, sum(_fit(node, compute) for node in nodes))

    @property
    def enough(self) -> bool:
        """Whether a run can begin."""
        return self.fit >= self.compute.least_workers

    @property
    def ample(self) -> bool:
        """Whether all workers have room that may be used."""
        return self.fit >= self.compute.most_workers

    def __str__(self) -> str:
        have = f"{len(self.nodes)} nodes with {amounts(self.nodes)}"
        return f"{asked(self.compute)}; {have} have room for {self.fit}"


def asked(compute: ComputeConfig) -> str:
    """The workers of a run, in words."""
    least, most = compute.least_workers, compute.most_workers
    count = f"{least}" if least == most else f"{least} to {most}"
    return f"{count} workers with {compute.threads} CPUs{' and 1 GPU' * compute.use_gpu} each"


def amounts(nodes: Sequence[Resources]) -> str:
    """What all of them have together, in words."""
    return ", ".join(f"{sum(node.get(kind, 0) for node in nodes):g} {kind}s" for kind in ("CPU", "GPU"))


def _fit(node: Resources, compute: ComputeConfig) -> int:
    by_cpu = math.floor(node.get("CPU", 0) / compute.threads)
    return min(by_cpu, math.floor(node.get("GPU", 0))) if compute.use_gpu else by_cpu
