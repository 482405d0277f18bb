import os
from pathlib import Path

import pytest

from pipelines.core.config import parse_section
from pipelines.doctor import threads
from pipelines.evaluate.config import EvaluateConfig
from pipelines.serve.config import ServeConfig
from pipelines.training.config import ComputeConfig


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 4)


@pytest.mark.parametrize(
    ("compute", "told", "level"),
    [
        ({"workers": 2, "threads": 2}, "2 x 2 threads = 4, on 4 cores", "ok"),
        ({"workers": (1, 3), "threads": 2}, "3 x 2 threads = 6, on 4 cores", "warning"),
        ({"workers": 2, "threads": 1, "loaders": 2}, "2 x 1 threads and 2 loaders = 6", "warning"),
        ({"runner": "local", "workers": 9, "threads": 4}, "1 x 4 threads = 4", "ok"),
    ],
)
def test_all_workers_count(four_cores: None, compute: dict[str, object], told: str, level: str) -> None:
    [found] = threads.training(parse_section(compute, "train.compute", ComputeConfig))
    assert told in found.message
    assert found.level == level


def test_evaluation_and_endpoint_count(four_cores: None) -> None:
    assert threads.evaluation(EvaluateConfig(threads=5))[0].level == "warning"
    assert threads.serving(ServeConfig(replicas=2, threads=2))[0].level == "ok"
    [found] = threads.serving(ServeConfig(replicas=3, threads=2))
    assert "3 x 2 threads = 6, on 4 cores" in found.message
    assert found.remedy == "lower serve.replicas or serve.threads"


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000\n", 3), ("200000 100000\n", 2), ("50000 100000\n", 1), ("", 3)]
)
def test_a_containers_limit_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected: int
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(threads, "CGROUP", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert threads.cores() == expected
