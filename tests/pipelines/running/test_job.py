import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipelines.core.errors import ConfigError
from pipelines.running.job import TrainJob, run_worker
from pipelines.training.batches import Share
from pipelines.training.log import Progress, RunLog
from pipelines.training.loop import Hooks

CPU = torch.device("cpu")


def test_other_code_is_refused_before_anything_is_read(job: TrainJob) -> None:
    away = replace(job, photos=Path("nowhere"))
    with pytest.raises(ConfigError, match=r"training code \(0{16}\)"):
        run_worker(replace(away, code="0" * 64), Share(0, 1), CPU, Hooks())
    for name in away.versions:
        with pytest.raises(ConfigError, match=rf"{name} \(1\.0\)"):
            run_worker(replace(away, versions={**away.versions, name: "1.0"}), Share(0, 1), CPU, Hooks())


def test_a_job_survives_pickle_and_json(job: TrainJob) -> None:
    assert pickle.loads(pickle.dumps(job)) == job
    assert TrainJob.from_dict(json.loads(json.dumps(job.to_dict()))) == job


def test_the_main_worker_writes_the_log_and_calls_the_hooks(job: TrainJob) -> None:
    points: list[Progress] = []
    run_worker(job, Share(0, 1), CPU, Hooks(report=points.append))
    assert RunLog(job.folder).read()[0] == points
