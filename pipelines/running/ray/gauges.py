"""Numbers of a run for Prometheus, which Ray's endpoint on every node shows beside Ray's own."""

from functools import cache

from ray.util.metrics import Gauge

from pipelines.training.metrics import Progress

DESCRIPTIONS = {
    "step": "Optimizer steps done.",
    "epoch": "Epochs done.",
    "loss": "Mean loss since the last point of the log.",
    "lr": "Learning rate of the next step.",
    "grad_norm": "L2 norm of the gradient before clipping.",
    "images_per_s": "Patches through all workers in a second.",
    "workers": "Workers that share every batch.",
    "memory_gb": "Memory of worker 0, in 10^9 bytes.",
}
"""Fields of a point that are shown, as ``ray_tunable_train_<name>``."""


def show(progress: Progress) -> None:
    """Show this point, on the node of the worker that calls."""
    for name, gauge in _gauges().items():
        gauge.set(float(getattr(progress, name)))


@cache
def _gauges() -> dict[str, Gauge]:
    return {name: Gauge(f"tunable_train_{name}", description=text) for name, text in DESCRIPTIONS.items()}
