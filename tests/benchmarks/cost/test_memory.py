"""Peak memory comes from a process of its own."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.cost import memory
from benchmarks.cost.memory import measure, peak_mib
from benchmarks.cost.variants import Subject, Task, Variants

EDSR = Subject("edsr", {"width": 8, "blocks": 1})
TASK = Task("training", 2, 8)


def test_it_covers_network_optimizer_and_images_but_not_the_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = list[str]()
    make = Variants.call

    def noted(self: Variants, task: Task, name: str) -> Any:
        begun.append("network")
        call = make(self, task, name)
        return lambda number: begun.append("step") or call(number)

    def peak(device: torch.device) -> int:
        begun.append("peak")
        return len(begun) * 2**20

    monkeypatch.setattr(Variants, "call", noted)
    monkeypatch.setattr(memory, "_peak_bytes", peak)
    found = measure(EDSR, TASK, "one omega", torch.device("cpu"))
    assert begun == ["peak", "network", "step", "step", "peak"]
    assert found == 4.0


@pytest.mark.slow
def test_a_process_of_its_own_measures_it() -> None:
    assert peak_mib(EDSR, TASK, "one omega", "cpu", threads=1) > 0


@pytest.mark.server
def test_what_keeps_that_process_from_it_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = tmp_path / "python"  # in place of one that takes seconds to find the same
    failing.write_text("#!/bin/sh\necho no memory >&2\nexit 1\n")
    failing.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(failing))
    with pytest.raises(RuntimeError, match=r"edsr, training 2x8x8, one omega: .*\nno memory"):
        peak_mib(EDSR, TASK, "one omega", "cpu", threads=1)
