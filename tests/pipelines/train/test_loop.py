import math
from dataclasses import replace

import pytest
import torch

from pipelines.errors import TrainingError
from pipelines.tasks import make_task
from pipelines.train.checkpoint import CheckpointStore
from pipelines.train.loop import Job, Progress, train
from tunable_models import TunableNetwork


class Stop(Exception):
    """The machine fails here."""


def weights(network: TunableNetwork) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def stop_after(step: int, points: list[Progress]) -> object:
    def report(progress: Progress) -> None:
        points.append(progress)
        if progress.step == step:
            raise Stop

    return report


def curve(points: list[Progress]) -> list[tuple[int, float, float, float]]:
    return [(p.step, p.loss, p.lr, p.grad_norm) for p in points]


def test_training_changes_every_kernel_and_reports(job: Job) -> None:
    points: list[Progress] = []
    network = train(job, points.append)
    assert [point.step for point in points] == [2, 4, 6]
    assert all(math.isfinite(point.loss) and point.images_per_s > 0 for point in points)
    before = job.config.network.make(make_task(job.config.task).space, job.config.seed)
    for (name, old), new in zip(before.named_parameters(), network.parameters(), strict=True):
        assert not torch.equal(old, new), name


def test_a_run_that_was_stopped_goes_on_bit_for_bit(job: Job) -> None:
    whole: list[Progress] = []
    expected = train(job, whole.append)
    halves: list[Progress] = []
    other = replace(job, store=CheckpointStore(job.photos.parents[2] / "other", "print"))
    with pytest.raises(Stop):
        train(other, stop_after(4, halves))  # type: ignore[arg-type]
    assert other.store.newest() == 2  # step 4 was reported, and not yet saved
    resumed = train(other, halves.append)
    assert torch.equal(weights(resumed), weights(expected))
    assert curve(halves) == [*curve(whole)[:2], *curve(whole)[1:]]


def test_a_finished_run_does_nothing_again(job: Job) -> None:
    expected = train(job, lambda point: None)
    points: list[Progress] = []
    assert torch.equal(weights(train(job, points.append)), weights(expected))
    assert not points


def test_a_loss_that_is_no_number_is_an_error_and_is_not_saved(job: Job) -> None:
    optimizer = job.config.optimizer.model_copy(update={"lr": 1e30, "clip_norm": 1e30})
    wild = replace(job, config=job.config.model_copy(update={"optimizer": optimizer}))
    with pytest.raises(TrainingError, match="lower"):
        train(wild, lambda point: None)
    newest = wild.store.newest()
    assert newest is None or torch.isfinite(wild.store.load(newest)["network"]["network.head.weight"]).all()


def test_pictures_are_asked_for_at_checkpoints(job: Job) -> None:
    steps: list[int] = []
    train(job, lambda point: None, at_checkpoint=lambda step, network: steps.append(step))
    assert steps == [2, 4, 6]
