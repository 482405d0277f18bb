import pytest

from pipelines.core.layout import Layout
from pipelines.doctor.options import check_processes, cluster_address, read_options
from pipelines.training.config import TrainConfig


def test_all_sections_parse(layout: Layout) -> None:
    options, [found] = read_options(layout)
    assert found.level == "ok"
    assert options.train is not None
    assert options.train.steps == 6
    assert options.serve is not None


def test_each_invalid_section_is_a_fault_and_the_others_are_read(layout: Layout) -> None:
    layout.params.write_text("train: {stesp: 3}\nserve: {port: eighty}\n")
    options, found = read_options(layout)
    assert [finding.level for finding in found] == ["fault", "fault"]
    assert "did you mean 'steps'" in found[0].message
    assert "serve.port" in found[1].message
    assert (options.train, options.serve) == (None, None)
    assert options.prepare is not None


@pytest.mark.parametrize("text", ["train: [", "tarin: {}"])
def test_a_fault_of_the_whole_file_is_reported_once(layout: Layout, text: str) -> None:
    layout.params.write_text(text)
    options, found = read_options(layout)
    assert [finding.level for finding in found] == ["fault"]
    assert options.prepare is None


def test_without_torchrun_nothing_is_checked(config: TrainConfig) -> None:
    assert check_processes(config, 1) == []


def test_every_process_has_a_group(config: TrainConfig) -> None:
    [found] = check_processes(config, 2)
    assert found.level == "ok"
    assert "2 processes share 2 groups" in found.message


@pytest.mark.parametrize(("processes", "accumulate", "least"), [(3, 1, 6), (2, 2, 8)])
def test_more_processes_than_groups_are_a_fault(
    config: TrainConfig, processes: int, accumulate: int, least: int
) -> None:
    compute = config.compute.model_copy(update={"accumulate": accumulate})
    [found] = check_processes(config.model_copy(update={"compute": compute}), processes)
    assert found.level == "fault"
    assert "train.batch_size 4 has 2 groups" in found.message
    assert f"train.batch_size to at least {least}" in found.remedy
    enough = config.model_copy(update={"compute": compute, "batch_size": least})
    assert check_processes(enough, processes)[0].level == "ok"


def test_ray_would_start_its_own(config: TrainConfig) -> None:
    compute = config.compute.model_copy(update={"runner": "ray", "workers": 2})
    [found] = check_processes(config.model_copy(update={"compute": compute}), 2)
    assert found.level == "fault"
    assert found.remedy == "set train.compute.runner to local"


def test_which_cluster_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster_address(None) is None
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.2:6379")
    assert cluster_address(None) == "10.0.0.2:6379"
    assert cluster_address("10.0.0.1:6379") == "10.0.0.1:6379"
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert cluster_address(None) is None
