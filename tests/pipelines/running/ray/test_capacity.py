from typing import Any

import pytest

from pipelines.core.config import parse_section
from pipelines.running.ray.capacity import Room
from pipelines.training.config import ComputeConfig

TWO_NODES = [{"CPU": 4.0}, {"CPU": 4.0, "GPU": 1.0}]


def room(**compute: Any) -> Room:
    return Room.of(TWO_NODES, parse_section(compute, "compute", ComputeConfig))


@pytest.mark.parametrize(
    ("compute", "fit", "enough", "ample"),
    [
        ({"workers": 2, "threads": 4}, 2, True, True),
        ({"workers": 1, "threads": 8}, 0, False, False),  # a worker stands on one node
        ({"workers": [2, 6], "threads": 2}, 4, True, False),
        ({"workers": 2, "use_gpu": True}, 1, False, False),
    ],
)
def test_each_worker_needs_one_node(compute: dict[str, Any], fit: int, enough: bool, ample: bool) -> None:
    found = room(**compute)
    assert (found.fit, found.enough, found.ample) == (fit, enough, ample)


def test_the_arithmetic_is_told() -> None:
    assert str(room(workers=[2, 3], threads=8, use_gpu=True)) == (
        "2 to 3 workers with 8 CPUs and 1 GPU each; 2 nodes with 8 CPUs, 1 GPUs have room for 0"
    )
