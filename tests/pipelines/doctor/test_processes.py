import pytest

from pipelines.doctor.processes import processes
from pipelines.training.config import TrainConfig


def test_without_torchrun_nothing_is_told(config: TrainConfig) -> None:
    assert processes(config, 1) == []


def test_every_process_has_a_group(config: TrainConfig) -> None:
    [found] = processes(config, 2)
    assert found.level == "ok"
    assert found.message == "2 for a batch of 2 groups, each with 1 or more"


@pytest.mark.parametrize(("started", "accumulate", "least"), [(3, 1, 6), (2, 2, 8)])
def test_more_processes_than_groups_are_a_fault(
    config: TrainConfig, started: int, accumulate: int, least: int
) -> None:
    compute = config.compute.model_copy(update={"accumulate": accumulate})
    [found] = processes(config.model_copy(update={"compute": compute}), started)
    assert found.level == "fault"
    assert (
        f"train.batch_size 4 has 2 groups of train.sampling.group (2), fewer than the {started}"
        in found.message
    )
    assert f"train.batch_size to {least} at least" in found.remedy
    enough = config.model_copy(update={"compute": compute, "batch_size": least})
    assert processes(enough, started)[0].level == "ok"


def test_ray_would_start_its_own(config: TrainConfig) -> None:
    compute = config.compute.model_copy(update={"runner": "ray", "workers": 2})
    [found] = processes(config.model_copy(update={"compute": compute}), 2)
    assert found.level == "fault"
    assert found.remedy == "set train.compute.runner to local"
