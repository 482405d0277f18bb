import pytest

from pipelines.core.errors import ConfigError
from pipelines.search.room import trials_at_a_time
from pipelines.training.config import ComputeConfig

NODES = [{"CPU": 4.0}, {"CPU": 3.0, "GPU": 1.0}]


@pytest.mark.parametrize(
    ("options", "trials"),
    [
        ({"runner": "local"}, 7),
        ({"runner": "local", "threads": 2}, 3),  # a worker's threads lie on one node
        ({"runner": "local", "use_gpu": True}, 1),
        ({"workers": 2}, 3),
        ({"workers": 3, "threads": 2}, 1),
        ({"workers": (1, 2)}, 3),  # elastic ones could all take the most
    ],
)
def test_as_many_as_have_room_for_all_their_workers(options: dict[str, object], trials: int) -> None:
    assert trials_at_a_time(NODES, ComputeConfig(**options), None) == trials  # type: ignore[arg-type]


def test_fewer_may_be_asked_for() -> None:
    assert trials_at_a_time(NODES, ComputeConfig(runner="local"), 2) == 2


def test_what_could_never_run_is_refused_with_the_arithmetic() -> None:
    with pytest.raises(
        ConfigError, match="1 trials at a time x 4 workers x 2 CPUs need room for 4 workers; "
    ):
        trials_at_a_time(NODES, ComputeConfig(workers=4, threads=2), None)
    with pytest.raises(ConfigError, match=r"room for 7 \(by node: 4 CPUs and 0 GPUs, 3 CPUs and 1 GPUs\)"):
        trials_at_a_time(NODES, ComputeConfig(workers=2), 4)
