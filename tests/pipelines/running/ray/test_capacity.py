from typing import Any

import pytest

from pipelines.core.config import parse_section
from pipelines.running.ray.capacity import SILENT_S, Capacity, IdleWarning
from pipelines.training.config import ComputeConfig

TWO_NODES = [{"CPU": 4.0}, {"CPU": 4.0, "GPU": 1.0}]


def capacity(**compute: Any) -> Capacity:
    return Capacity.of(TWO_NODES, parse_section(compute, "compute", ComputeConfig))


@pytest.mark.parametrize(
    ("compute", "fit", "can_start", "is_full"),
    [
        ({"workers": 2, "threads": 4}, 2, True, True),
        ({"workers": 1, "threads": 8}, 0, False, False),  # a worker runs on one node
        ({"workers": [2, 6], "threads": 2}, 4, True, False),
        ({"workers": 2, "use_gpu": True}, 1, False, False),
    ],
)
def test_each_worker_needs_one_node(
    compute: dict[str, Any], fit: int, can_start: bool, is_full: bool
) -> None:
    found = capacity(**compute)
    assert (found.fit, found.can_start, found.is_full) == (fit, can_start, is_full)


def test_the_text_is_the_arithmetic() -> None:
    assert str(capacity(workers=[2, 3], threads=8, use_gpu=True)) == (
        "requested 2 to 3 workers with 8 CPUs and 1 GPU each; 2 nodes with 8 CPUs, 1 GPUs fit 0"
    )


@pytest.mark.parametrize(("free", "left"), [({"CPU": 0.0}, "0 CPUs, 0 GPUs"), (None, "unknown")])
def test_idle_workers_are_reported_once_and_their_return_once(
    capsys: pytest.CaptureFixture[str], free: dict[str, float] | None, left: str
) -> None:
    warn = IdleWarning(ComputeConfig(workers=2), lambda: free)
    idle = f"train: no worker is running: requested 2 workers with 1 CPU each, free: {left}; waiting\n"
    for silent_s, expected in (
        (SILENT_S, ""),
        (SILENT_S + 1, idle),
        (SILENT_S + 2, ""),
        (0.5, "train: workers are running\n"),
        (SILENT_S + 1, idle),
    ):
        warn(silent_s)
        assert capsys.readouterr().out == expected
