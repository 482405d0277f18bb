"""Checks of this machine; what its hardware can do is set here, since it may have none."""

import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

from pipelines.core.config import parse_section
from pipelines.core.layout import Layout
from pipelines.doctor import local
from pipelines.doctor.local import (
    check_dvc,
    check_gpus,
    check_precision,
    check_shared_memory,
    check_threads,
    check_tracking,
    check_versions,
)
from pipelines.doctor.options import Options
from pipelines.evaluate.config import EvaluateConfig
from pipelines.serve.config import ServeConfig
from pipelines.training.config import TrainConfig


def train_options(**values: Any) -> TrainConfig:
    return parse_section(values, "train", TrainConfig)


def require(monkeypatch: pytest.MonkeyPatch, *texts: str) -> None:
    monkeypatch.setattr(local, "requires", lambda name: list(texts))


def test_what_is_installed_here_is_enough() -> None:
    [found] = check_versions()
    assert found.level == "ok"
    assert "torch " in found.message
    assert "ray " in found.message


def test_a_package_below_its_minimum_version_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    require(monkeypatch, "torch>=999", "pyyaml>=6")
    [found] = check_versions()
    assert found.level == "fault"
    assert ">=999" in found.message
    assert found.remedy == "pip install 'torch>=999'"


def test_a_package_that_is_missing_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    require(monkeypatch, "nobody-made-this>=1")
    [found] = check_versions()
    assert found.level == "fault"
    assert "nobody-made-this" in found.message


def test_only_extras_of_the_stages_count(monkeypatch: pytest.MonkeyPatch) -> None:
    require(
        monkeypatch,
        'torch>=999; extra == "export"',
        'pyyaml>=999; extra == "pipelines"',
        'rich>=999; python_version < "3"',
    )
    assert [found.remedy for found in check_versions()] == ["pip install 'pyyaml>=999'"]


def test_a_package_that_is_not_installed_knows_no_require(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(local, "requires", absent)
    assert [found.level for found in check_versions()] == ["warning"]


def test_dvc_is_needed_where_stages_are_versioned(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_dvc(layout)[0].level == "ok"
    (layout.root / "dvc.yaml").write_text("stages: {train: {cmd: tunable run train}}")
    monkeypatch.setenv("PATH", str(layout.root))
    assert [finding.level for finding in check_dvc(layout)] == ["warning"]
    for command in ("dvc", "tunable"):
        assert command in check_dvc(layout)[0].message
        (layout.root / command).write_text("#!/bin/sh\n")
        (layout.root / command).chmod(0o755)
    assert check_dvc(layout)[0].remedy == "run: dvc init"
    (layout.root / ".dvc").mkdir()
    assert check_dvc(layout) == []


@pytest.fixture
def serve() -> Iterator[Callable[[int], str]]:
    """Starts a server on the loopback that answers everything with one status; its address."""
    with ExitStack() as stack:

        def start(status: int) -> str:
            class Handler(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    self.send_response(status if self.path == "/mlflow/health" else 418)
                    self.end_headers()

                def log_message(self, *_: object) -> None:
                    pass

            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
            thread = Thread(target=server.serve_forever, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return f"127.0.0.1:{server.server_port}/mlflow"

        yield start


def test_a_database_that_does_not_exist_yet(layout: Layout) -> None:
    [found] = check_tracking(layout)
    assert found.level == "ok"
    assert not (layout.root / "mlflow.db").exists()


def test_a_database_that_opens(layout: Layout) -> None:
    with closing(sqlite3.connect(layout.root / "mlflow.db")) as database:
        database.execute("CREATE TABLE runs (id)")
    assert check_tracking(layout)[0].level == "ok"


def test_a_file_that_is_no_database_is_a_warning(layout: Layout) -> None:
    (layout.root / "mlflow.db").write_text("this is no database, whatever its name says" * 50)
    [found] = check_tracking(layout)
    assert found.level == "warning"
    assert "not a database" in found.message


@pytest.mark.server
@pytest.mark.parametrize(("status", "level"), [(200, "ok"), (401, "ok"), (500, "warning"), (404, "warning")])
def test_the_health_of_a_tracking_server(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, serve: Callable[[int], str], status: int, level: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@{serve(status)}/")
    [found] = check_tracking(layout)
    assert found.level == level
    assert "secret" not in found.message + found.remedy


@pytest.mark.server
def test_a_tracking_server_that_is_down_is_a_warning(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port}")
    [found] = check_tracking(layout)
    assert found.level == "warning"
    assert "Connection refused" in found.message
    assert "MLFLOW_TRACKING_URI" in found.remedy


@pytest.mark.server
def test_a_tracking_server_that_hangs_is_a_warning(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "TRACKING_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        [found] = check_tracking(layout)
    assert found.level == "warning"
    assert "timed out" in found.message


def test_other_tracking_stores_are_not_checked(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "databricks")
    assert check_tracking(layout)[0].level == "ok"


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "count_cores", lambda: 4)


@pytest.mark.parametrize(
    ("compute", "count", "level"),
    [
        ({"workers": 2, "threads": 2}, "2 x 2 threads on 4 cores", "ok"),
        ({"workers": (1, 3), "threads": 2}, "3 x 2 threads on 4 cores", "warning"),
        ({"workers": 2, "threads": 1, "loaders": 2}, "2 x 3 threads", "warning"),
        ({"runner": "local", "workers": 9, "threads": 4}, "1 x 4 threads", "ok"),
    ],
)
def test_all_workers_count(four_cores: None, compute: dict[str, object], count: str, level: str) -> None:
    [found] = check_threads(Options(train=train_options(compute=compute)))
    assert count in found.message
    assert found.level == level


def test_evaluation_and_endpoint_count(four_cores: None) -> None:
    assert check_threads(Options(evaluate=EvaluateConfig(threads=5)))[0].level == "warning"
    assert check_threads(Options(serve=ServeConfig(replicas=2, threads=2)))[0].level == "ok"
    [found] = check_threads(Options(serve=ServeConfig(replicas=3, threads=2)))
    assert "3 x 2 threads on 4 cores" in found.message
    assert found.remedy == "lower serve.replicas or serve.threads"


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000\n", 3), ("200000 100000\n", 2), ("50000 100000\n", 1), ("", 3)]
)
def test_a_containers_limit_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected: int
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(local, "CPU_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert local.count_cores() == expected


def test_threads_on_a_cluster_are_not_compared_with_this_machine() -> None:
    config = train_options(compute={"threads": 999, "address": "10.0.0.1:6379"})
    assert check_threads(Options(train=config)) == []


GPU_TRAINING = Options(train=train_options(compute={"workers": 2, "use_gpu": True}))


def set_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (70 * 10**9, 80 * 10**9))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")


def test_no_gpu_requested_and_none_there(monkeypatch: pytest.MonkeyPatch) -> None:
    set_gpus(monkeypatch, 0)
    assert [finding.level for finding in check_gpus(Options())] == ["ok"]


def test_too_few_gpus_are_a_fault_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    set_gpus(monkeypatch, 0)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    [found] = check_gpus(GPU_TRAINING)
    assert found.level == "fault"
    assert "train.compute.use_gpu: expected 2 GPUs, torch sees 0; CUDA_VISIBLE_DEVICES is ''" in found.message
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert "nvidia-smi" in check_gpus(GPU_TRAINING)[0].message
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    assert "CPU" in check_gpus(GPU_TRAINING)[0].message


def test_each_gpu_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    set_gpus(monkeypatch, 2)
    found = check_gpus(GPU_TRAINING)
    assert [finding.level for finding in found] == ["ok", "ok"]
    assert found[1].message == "GPU 1, capability 9.0, 70 GB of 80 GB free"


def test_unused_gpus_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    set_gpus(monkeypatch, 1)
    assert "use_gpu is false" in check_gpus(Options())[0].message


@pytest.mark.parametrize(
    ("kind", "bf16", "level"),
    [
        ("bfloat16", True, "ok"),
        ("bfloat16", False, "warning"),
        ("float16", False, "ok"),
        ("float32", False, "ok"),
    ],
)
def test_a_precision_that_a_gpu_emulates_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, kind: str, bf16: bool, level: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "GPU")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    [found] = check_precision(train_options(precision=kind, compute={"use_gpu": True}))
    assert found.level == level


LOCAL = {"runner": "local"}


@pytest.mark.parametrize(
    ("capabilities", "options", "level"),
    [
        ({"amx_bf16": True}, {"compute": LOCAL}, "warning"),
        ({"avx512_bf16": True}, {"compute": LOCAL}, "warning"),
        ({"architecture": "aarch64", "bf16": True}, {"compute": LOCAL}, "warning"),
        ({"amx_bf16": True}, {}, "warning"),  # workers on a private cluster are on this machine
        ({"amx_bf16": True}, {"compute": LOCAL, "precision": "bfloat16"}, "ok"),
        ({"avx512_f": True}, {"compute": LOCAL, "precision": "bfloat16"}, "warning"),
        ({"amx_bf16": True}, {"compute": {"use_gpu": True}}, "ok"),
        ({"amx_bf16": True}, {"compute": {"address": "10.0.0.1:6379"}}, "ok"),
        ({"avx512_f": True, "avx512_bf16": False}, {"compute": LOCAL}, "ok"),
    ],
)
def test_a_precision_that_is_slow_on_this_cpu_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, Any], options: dict[str, Any], level: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    [found] = check_precision(train_options(**options))
    assert found.level == level
    other = "float32" if options.get("precision") == "bfloat16" else "bfloat16"
    assert (f"set train.precision: {other}" in found.remedy) == (level == "warning")


@pytest.mark.parametrize(("total", "level"), [(64 * 2**20, "warning"), (10**9, "ok")])
def test_shared_memory_of_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, total: int, level: str
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"total": total}))
    [found] = check_shared_memory(tmp_path)
    assert found.level == level
    assert ("--shm-size" in found.remedy) == (level == "warning")


def test_a_system_without_shared_memory(tmp_path: Path) -> None:
    assert check_shared_memory(tmp_path / "shm")[0].level == "warning"
