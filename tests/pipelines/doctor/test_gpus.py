"""What is told of GPUs; torch's own answers are set here, since the machine may have none."""

import pytest
import torch

from pipelines.doctor.gpus import gpus


def machine(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (70 * 10**9, 80 * 10**9))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")


def test_none_asked_for_and_none_there(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 0)
    assert [finding.level for finding in gpus(0, "none")] == ["ok"]


def test_too_few_are_a_fault_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 0)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    [found] = gpus(2, "train.compute.use_gpu")
    assert found.level == "fault"
    assert "train.compute.use_gpu: 2 asked for, torch sees 0; CUDA_VISIBLE_DEVICES is ''" in found.message
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert "nvidia-smi" in gpus(2, "train.compute.use_gpu")[0].message
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    assert "built for the CPU" in gpus(2, "train.compute.use_gpu")[0].message


def test_each_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 2)
    found = gpus(2, "train.compute.use_gpu")
    assert [finding.level for finding in found] == ["ok", "ok"]
    assert found[1].message == "GPU 1, capability 9.0, 70 GB of 80 GB free"


def test_those_that_nobody_asks_for_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 1)
    assert "use_gpu is false" in gpus(0, "none")[0].message
