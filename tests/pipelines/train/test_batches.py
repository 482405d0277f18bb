import pytest
import torch

from pipelines.data.photos import PhotoSet
from pipelines.errors import DataError
from pipelines.tasks import make_task
from pipelines.train.batches import Batches, Share
from pipelines.train.loop import Job


@pytest.fixture
def batches(job: Job) -> Batches:
    return Batches(PhotoSet.open(job.photos), make_task(job.config.task), job.config, job.device)


def test_shares_make_up_the_whole_batch(batches: Batches) -> None:
    whole = batches(3, Share(0, 1))
    shares = [batches(3, Share(rank, 2)) for rank in range(2)]
    pairs = [
        (whole.omega, [share.omega for share in shares]),
        (whole.example.inputs, [share.example.inputs for share in shares]),
        *((whole.example.targets[n], [s.example.targets[n] for s in shares]) for n in whole.example.targets),
    ]
    assert len(pairs) == 6
    for expected, parts in pairs:
        assert torch.equal(torch.cat(parts), expected)


def test_steps_differ_and_repeat(batches: Batches) -> None:
    share = Share(0, 1)
    first, again, other = (batches(step, share).example.inputs for step in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_samples_of_a_group_share_an_omega(batches: Batches) -> None:
    omega = batches(0, Share(0, 1)).omega
    assert torch.equal(omega[0::2], omega[1::2])
    assert not torch.equal(omega[0], omega[2])


def test_patches_are_photographs_in_the_unit_range(batches: Batches, job: Job) -> None:
    clean = batches(0, Share(0, 1)).example.targets["clean"]
    assert clean.shape == (4, 3, job.config.patch_px, job.config.patch_px)
    assert clean.min() >= 0
    assert clean.max() <= 1
    pixels = {tuple(p) for photo in PhotoSet.open(job.photos) for p in photo.reshape(-1, 3).tolist()}
    drawn = clean.mul(255).round().byte().permute(0, 2, 3, 1).reshape(-1, 3).tolist()
    assert {tuple(p) for p in drawn} <= pixels


def test_a_photograph_smaller_than_a_patch_is_named(job: Job) -> None:
    config = job.config.model_copy(update={"patch_px": 32})
    with pytest.raises(DataError, match=r"0\.png is 24x20 px, smaller than train\.patch_px 32"):
        Batches(PhotoSet.open(job.photos), make_task(config.task), config, job.device)
