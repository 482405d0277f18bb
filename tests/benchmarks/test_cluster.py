"""A node is killed and another one comes, for real; minutes long."""

import time
from functools import partialmethod
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from benchmarks import cluster
from benchmarks.cluster import play
from pipelines.training.log import RunLog
from pipelines.training.loop import Hooks
from tunable_models import TunableNetwork
from waiting import UNREACHED_S

STEPS = 3000


def hold_until_two_again(folder: Path) -> Hooks:
    """Hooks that do not let the run end before the node that comes has joined it, however late that is."""

    def wait(step: int, network: TunableNetwork) -> None:
        def workers() -> list[int]:
            return [point.workers for point in RunLog(folder / "elastic").read()[0]]

        while step > STEPS / 2 and not (1 in workers() and workers()[-1] == 2):
            time.sleep(0.1)

    return Hooks(at_checkpoint=wait)


@pytest.mark.faults
@pytest.mark.cluster
def test_a_run_that_loses_a_node_ends_with_the_right_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(cluster, "TIMEOUT_S", UNREACHED_S)
    monkeypatch.setattr(cluster, "Hooks", lambda: hold_until_two_again(tmp_path))
    monkeypatch.setattr("pipelines.running.ray.driver.UNHEARD_S", UNREACHED_S)
    monkeypatch.setattr("pipelines.running.ray.coordinator.ANSWER_WITHIN_S", UNREACHED_S)
    for wait in ("_wait_for_node", "wait_for_nodes"):
        monkeypatch.setattr(Cluster, wait, partialmethod(getattr(Cluster, wait), timeout=UNREACHED_S))
    # A busy machine takes long to start a worker; Ray tries again, and would for ever.
    monkeypatch.setitem(cluster.QUICKLY, "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "60")
    report = play(tmp_path, steps=STEPS)
    assert report["right"], report
    assert report["every_step_is_there"]
