"""What is told of precisions; what the hardware can do is set here."""

from typing import Any

import pytest
import torch

from pipelines.core.config import parse_section
from pipelines.doctor.precision import precision
from pipelines.training.config import TrainConfig


def find(**options: Any) -> list[tuple[str, str]]:
    config = parse_section(options, "train", TrainConfig)
    return [(finding.level, finding.remedy) for finding in precision(config)]


@pytest.mark.parametrize(
    ("kind", "bf16", "level"),
    [
        ("bfloat16", True, "ok"),
        ("bfloat16", False, "warning"),
        ("float16", False, "ok"),
        ("float32", False, "ok"),
    ],
)
def test_a_precision_that_a_gpu_imitates_is_told(
    monkeypatch: pytest.MonkeyPatch, kind: str, bf16: bool, level: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "GPU")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    [(found, _)] = find(precision=kind, compute={"use_gpu": True})
    assert found == level


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
def test_a_precision_that_is_slow_on_this_cpu_is_told(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, Any], options: dict[str, Any], level: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    [(found, remedy)] = find(**options)
    assert found == level
    other = "float32" if options.get("precision") == "bfloat16" else "bfloat16"
    assert (f"set train.precision: {other}" in remedy) == (level == "warning")
