from pathlib import Path

import pytest

from pipelines.core.errors import ConfigError
from pipelines.search.budget import TimeBudget, count_concurrent_trials
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
def test_as_many_as_fit_with_all_their_workers(options: dict[str, object], trials: int) -> None:
    assert count_concurrent_trials(NODES, ComputeConfig(**options), None) == trials  # type: ignore[arg-type]


def test_fewer_may_be_requested() -> None:
    assert count_concurrent_trials(NODES, ComputeConfig(runner="local"), 2) == 2


def test_what_could_never_run_is_refused_with_the_arithmetic() -> None:
    with pytest.raises(ConfigError, match="4 workers"):
        count_concurrent_trials(NODES, ComputeConfig(workers=4, threads=2), None)
    with pytest.raises(ConfigError, match=r"7 \(by node: 4 CPUs and 0 GPUs, 3 CPUs and 1 GPUs\)"):
        count_concurrent_trials(NODES, ComputeConfig(workers=2), 4)


def test_time_is_counted_over_all_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("pipelines.search.budget.time.monotonic", lambda: now)
    budget = TimeBudget(tmp_path, minutes=1)
    now += 40
    assert not budget.is_spent()
    resumed = TimeBudget(tmp_path, minutes=1)
    assert resumed.left_s == pytest.approx(20)
    now += 20
    assert resumed.is_spent()
    assert not TimeBudget(tmp_path, minutes=None).is_spent()
