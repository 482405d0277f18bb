"""Given what the flag of a run would say; the real one is asked in the tests of runs that stop."""

from typing import Any

import pytest

from pipelines.running.ray.silence import SILENT_S, Silence
from pipelines.training.config import ComputeConfig

RUNNING = "train: workers are running\n"


class Flag:
    """Knows what the cluster has left."""

    def __init__(self, free: dict[str, float] | None) -> None:
        self._free = free

    def free(self) -> dict[str, float] | None:
        return self._free


@pytest.mark.parametrize(("free", "left"), [({"CPU": 0.0}, "0 CPUs, 0 GPUs"), (None, "unknown")])
def test_missing_workers_are_told_once_and_once_that_they_are_back(
    capsys: pytest.CaptureFixture[str], free: dict[str, float] | None, left: str
) -> None:
    flag: Any = Flag(free)
    watch = Silence(ComputeConfig(workers=2), flag)
    missing = (
        f"train: no worker is running: 2 workers with 1 CPUs each asked for, free now: {left}; waiting\n"
    )
    for silent_s, told in (
        (SILENT_S, ""),
        (SILENT_S + 1, missing),
        (SILENT_S + 2, ""),
        (0.5, RUNNING),
        (SILENT_S + 1, missing),
    ):
        watch(silent_s)
        assert capsys.readouterr().out == told
