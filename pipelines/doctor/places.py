"""Room for workers on the nodes of a cluster. Ray itself would wait for it without a word."""

import math
from collections.abc import Mapping, Sequence

from pipelines.doctor.finding import About, Finding
from pipelines.train.config import ComputeConfig

ABOUT = About("cluster")

Resources = Mapping[str, float]


def places(nodes: Sequence[Resources], compute: ComputeConfig) -> Finding:
    """Workers that fit onto the nodes, each on one, against those that are asked for.

    Args:
        nodes: what each has when nothing runs, by Ray's names.
        compute: what is asked for.
    """
    one = f"{compute.threads} CPUs" + " and 1 GPU" * compute.use_gpu
    fit = sum(_fit(node, compute) for node in nodes)
    have = ", ".join(f"{sum(node.get(kind, 0) for node in nodes):g} {kind}s" for kind in ("CPU", "GPU"))
    least, most = compute.least_workers, compute.most_workers
    asked = f"{least}" if least == most else f"{least} to {most}"
    message = f"{asked} workers with {one} each; {len(nodes)} nodes with {have} have room for {fit}"
    remedy = "lower train.compute.workers or threads, or join a larger cluster"
    if fit < least:
        return ABOUT.fault(message, remedy)
    return ABOUT.warning(message, remedy) if fit < most else ABOUT.ok(message)


def _fit(node: Resources, compute: ComputeConfig) -> int:
    by_cpu = math.floor(node.get("CPU", 0) / compute.threads)
    return min(by_cpu, math.floor(node.get("GPU", 0))) if compute.use_gpu else by_cpu
