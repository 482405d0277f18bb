import pickle
from contextlib import closing
from typing import Any

import psutil
import pytest
import torch

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError, DataError, LoaderError
from pipelines.data.photos import PhotoSet
from pipelines.tasks import make_task
from pipelines.training import batches as module
from pipelines.training.batches import Batch, Batches, Share
from pipelines.training.config import TrainConfig
from pipelines.training.loop import Job
from waiting import UNREACHED_S


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader that is slow because the machine is busy is waited for."""
    monkeypatch.setattr(module, "LOADER_TIMEOUT_S", UNREACHED_S)


def prepare_patient_loader(number: int) -> None:
    """What a loader begins with, which has a copy of the module for itself."""
    module.GRACE_S = UNREACHED_S
    module._prepare_loader(number)


def make(job: Job, share: Share | None = None, **compute: Any) -> Batches:
    options = job.config.model_dump() | {"compute": {"runner": "local", **compute}}
    config = parse_section(options, "train", TrainConfig)
    return Batches(job.photos, make_task(config.task), config, job.device, share or Share(0, 1))


def portions(batches: Batches, step: int) -> list[Batch]:
    return next(batches.from_step(step))


def batch(batches: Batches, step: int) -> Batch:
    [whole] = portions(batches, step)
    return whole


def assert_same(parts: list[Batch], whole: Batch) -> None:
    targets = whole.example.targets
    pairs = [
        (whole.omega, [part.omega for part in parts]),
        (whole.example.inputs, [part.example.inputs for part in parts]),
        *((targets[name], [part.example.targets[name] for part in parts]) for name in targets),
    ]
    assert len(pairs) == 6
    for expected, pieces in pairs:
        assert torch.equal(torch.cat(pieces), expected)


def test_shares_make_up_the_whole_batch(job: Job) -> None:
    shares = [batch(make(job, Share(rank, 2)), 3) for rank in range(2)]
    assert_same(shares, batch(make(job), 3))


def test_so_do_portions(job: Job) -> None:
    assert_same(portions(make(job, accumulate=2), 3), batch(make(job), 3))


@pytest.mark.parametrize(("count", "accumulate"), [(1, 1), (3, 1), (5, 1), (2, 2), (1, 4)])
def test_every_sample_is_computed_once_in_whole_groups(count: int, accumulate: int) -> None:
    parts = [
        part
        for rank in range(count)
        for part in Share(rank, count).portions(20, group=4, accumulate=accumulate)
    ]
    assert [index for part in parts for index in part] == list(range(20))
    assert all(len(part) and len(part) % 4 == 0 for part in parts)


def test_too_few_groups_are_told() -> None:
    with pytest.raises(ConfigError, match=r"has 5 groups .* fewer than the 3 workers times .* \(2\)"):
        Share(0, 3).portions(20, group=4, accumulate=2)


def test_steps_differ_and_repeat(job: Job) -> None:
    batches = make(job)
    stream = batches.from_step(3)
    first, other = next(stream)[0].example.inputs, next(stream)[0].example.inputs
    assert torch.equal(first, batch(batches, 3).example.inputs)
    assert torch.equal(other, batch(batches, 4).example.inputs)
    assert not torch.equal(first, other)


def test_samples_of_a_group_share_an_omega(job: Job) -> None:
    omega = batch(make(job), 0).omega
    assert torch.equal(omega[0::2], omega[1::2])
    assert not torch.equal(omega[0], omega[2])


@pytest.mark.slow
def test_patches_are_photographs_in_the_unit_range(job: Job) -> None:
    clean = batch(make(job), 0).example.targets["clean"]
    assert clean.shape == (4, 3, job.config.patch_px, job.config.patch_px)
    assert clean.min() >= 0
    assert clean.max() <= 1
    pixels = {tuple(p) for photo in job.photos for p in photo.reshape(-1, 3).tolist()}
    drawn = clean.mul(255).round().byte().permute(0, 2, 3, 1).reshape(-1, 3).tolist()
    assert {tuple(p) for p in drawn} <= pixels


def test_a_photograph_smaller_than_a_patch_is_named(job: Job) -> None:
    config = job.config.model_copy(update={"patch_px": 32})
    with pytest.raises(DataError, match=r"0\.png is 24x20 px, smaller than train\.patch_px 32"):
        Batches(job.photos, make_task(config.task), config, job.device)


@pytest.mark.slow
def test_processes_ahead_give_the_same(job: Job) -> None:
    alone = make(job).from_step(5)
    with closing(make(job, loaders=2).from_step(5)) as ahead:
        for _ in range(3):
            assert_same(next(ahead), next(alone)[0])


def only_loader() -> psutil.Process:
    """The one loader process; those of earlier tests have ended."""
    started = psutil.Process().children()
    [loader] = [process for process in started if "spawn_main" in " ".join(process.cmdline())]
    return loader


@pytest.mark.slow
def test_a_loader_goes_on_after_a_sigterm_until_it_is_closed(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_prepare_loader", prepare_patient_loader)
    with closing(make(job, loaders=1).from_step(0)) as stream:
        next(stream)
        loader = only_loader()
        loader.terminate()
        for _ in range(6):  # more than were made ahead
            next(stream)
    loader.wait()


class Broken(PhotoSet):
    """Photographs that cannot be read any more."""

    def __getitem__(self, i: int) -> Any:
        raise DataError("expected a file, got none; write it again")


@pytest.mark.slow
def test_a_loaders_fault_is_one_sentence(job: Job) -> None:
    broken = Broken.open(job.photos.folder)
    assert isinstance(pickle.loads(pickle.dumps(broken)), Broken)
    batches = make(Job(**{**vars(job), "photos": broken}), loaders=1)
    with pytest.raises(DataError) as caught:
        portions(batches, 0)
    assert str(caught.value) == "expected a file, got none; write it again"


@pytest.mark.slow
def test_a_loader_that_dies_is_told(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_prepare_loader", prepare_patient_loader)
    with closing(make(job, loaders=1).from_step(0)) as stream:
        next(stream)
        loader = only_loader()
        loader.kill()
        with pytest.raises(LoaderError, match=r"a loader process failed.*fewer train\.compute\.loaders"):
            for _ in stream:
                pass
