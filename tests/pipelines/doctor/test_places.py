import pytest

from pipelines.core.config import parse_section
from pipelines.doctor.places import places
from pipelines.training.config import ComputeConfig


@pytest.mark.parametrize(
    ("compute", "nodes", "level", "room"),
    [
        ({"workers": 2, "threads": 2}, [{"CPU": 4.0}], "ok", 2),
        ({"workers": 2, "threads": 2}, [{"CPU": 3.0}, {"CPU": 1.0}], "fault", 1),  # 4 CPUs, and not together
        ({"workers": (1, 3), "threads": 2}, [{"CPU": 4.0}], "warning", 2),
        ({"workers": (3, 4), "threads": 2}, [{"CPU": 4.0}], "fault", 2),
        ({"workers": 2, "threads": 1, "use_gpu": True}, [{"CPU": 8.0, "GPU": 1.0}], "fault", 1),
        ({"workers": 2, "threads": 1, "use_gpu": True}, [{"CPU": 8.0, "GPU": 2.0}], "ok", 2),
        ({"workers": 1}, [{}], "fault", 0),
    ],
)
def test_a_worker_needs_its_place_on_one_node(
    compute: dict[str, object], nodes: list[dict[str, float]], level: str, room: int
) -> None:
    found = places(nodes, parse_section(compute, "train.compute", ComputeConfig))
    assert found.level == level
    assert found.message.endswith(f"have room for {room}")


def test_the_arithmetic_is_told() -> None:
    compute = ComputeConfig(workers=(2, 8), threads=4, use_gpu=True)
    found = places([{"CPU": 16.0, "GPU": 4.0}] * 3, compute)
    assert found.message == (
        "2 to 8 workers with 4 CPUs and 1 GPU each; 3 nodes with 48 CPUs, 12 GPUs have room for 12"
    )
