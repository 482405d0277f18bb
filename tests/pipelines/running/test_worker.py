from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipelines.core.errors import ConfigError
from pipelines.running.worker import Assignment, work
from pipelines.training.batches import Share
from pipelines.training.log import RunLog
from pipelines.training.loop import Hooks
from pipelines.training.metrics import Progress

CPU = torch.device("cpu")


def test_other_code_is_refused_before_anything_is_read(assignment: Assignment) -> None:
    away = replace(assignment, photos="nowhere")
    with pytest.raises(ConfigError, match=r"expected the driver's training code \(0{16}\) on node .*, got"):
        work(replace(away, code="0" * 64), Share(0, 1), CPU, Hooks())
    for name in away.versions:
        with pytest.raises(ConfigError, match=rf"the driver's {name} \(1\.0\)"):
            work(replace(away, versions={**away.versions, name: "1.0"}), Share(0, 1), CPU, Hooks())


def test_the_leader_writes_the_log_and_tells_on(assignment: Assignment) -> None:
    points: list[Progress] = []
    work(Assignment(**assignment.plain()), Share(0, 1), CPU, Hooks(report=points.append))
    assert RunLog(Path(assignment.folder)).read()[0] == points
