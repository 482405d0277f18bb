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
from pipelines.training.loop import LoopInputs
from waiting import UNREACHED_S


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader that is slow because the machine is busy is waited for."""
    monkeypatch.setattr(module, "LOADER_TIMEOUT_S", UNREACHED_S)


def prepare_patient_loader(number: int) -> None:
    """What a loader begins with, which has a copy of the module for itself."""
    module.GRACE_S = UNREACHED_S
    module._prepare_loader(number)


def make(inputs: LoopInputs, share: Share | None = None, **compute: Any) -> Batches:
    options = inputs.config.model_dump() | {"compute": {"runner": "local", **compute}}
    config = parse_section(options, "train", TrainConfig)
    return Batches(inputs.photos, make_task(config.task), config, inputs.device, share or Share(0, 1))


def micro_batches(batches: Batches, step: int) -> list[Batch]:
    return next(batches.from_step(step))


def batch(batches: Batches, step: int) -> Batch:
    [whole] = micro_batches(batches, step)
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


def test_shares_make_up_the_whole_batch(inputs: LoopInputs) -> None:
    shares = [batch(make(inputs, Share(rank, 2)), 3) for rank in range(2)]
    assert_same(shares, batch(make(inputs), 3))


def test_so_do_micro_batches(inputs: LoopInputs) -> None:
    assert_same(micro_batches(make(inputs, accumulate=2), 3), batch(make(inputs), 3))


@pytest.mark.parametrize(("count", "accumulate"), [(1, 1), (3, 1), (5, 1), (2, 2), (1, 4)])
def test_every_sample_is_computed_once_in_whole_groups(count: int, accumulate: int) -> None:
    parts = [
        part
        for rank in range(count)
        for part in Share(rank, count).micro_batches(20, group=4, accumulate=accumulate)
    ]
    assert [index for part in parts for index in part] == list(range(20))
    assert all(len(part) and len(part) % 4 == 0 for part in parts)


def test_too_few_groups_are_told() -> None:
    with pytest.raises(ConfigError, match=r"train\.batch_size 20"):
        Share(0, 3).micro_batches(20, group=4, accumulate=2)


def test_steps_differ_and_repeat(inputs: LoopInputs) -> None:
    batches = make(inputs)
    stream = batches.from_step(3)
    first, other = next(stream)[0].example.inputs, next(stream)[0].example.inputs
    assert torch.equal(first, batch(batches, 3).example.inputs)
    assert torch.equal(other, batch(batches, 4).example.inputs)
    assert not torch.equal(first, other)


def test_samples_of_a_group_share_an_omega(inputs: LoopInputs) -> None:
    omega = batch(make(inputs), 0).omega
    assert torch.equal(omega[0::2], omega[1::2])
    assert not torch.equal(omega[0], omega[2])


@pytest.mark.slow
def test_patches_are_photographs_in_the_unit_range(inputs: LoopInputs) -> None:
    clean = batch(make(inputs), 0).example.targets["clean"]
    assert clean.shape == (4, 3, inputs.config.patch_px, inputs.config.patch_px)
    assert clean.min() >= 0
    assert clean.max() <= 1
    pixels = {tuple(p) for photo in inputs.photos for p in photo.reshape(-1, 3).tolist()}
    drawn = clean.mul(255).round().byte().permute(0, 2, 3, 1).reshape(-1, 3).tolist()
    assert {tuple(p) for p in drawn} <= pixels


def test_a_photograph_smaller_than_a_patch_is_named(inputs: LoopInputs) -> None:
    config = inputs.config.model_copy(update={"patch_px": 32})
    with pytest.raises(DataError, match=r"0\.png.*24x20.*train\.patch_px"):
        Batches(inputs.photos, make_task(config.task), config, inputs.device)


@pytest.mark.slow
def test_processes_ahead_give_the_same(inputs: LoopInputs) -> None:
    alone = make(inputs).from_step(5)
    with closing(make(inputs, loaders=2).from_step(5)) as ahead:
        for _ in range(3):
            assert_same(next(ahead), next(alone)[0])


def only_loader() -> psutil.Process:
    """The one loader process; those of earlier tests have ended."""
    started = psutil.Process().children()
    [loader] = [process for process in started if "spawn_main" in " ".join(process.cmdline())]
    return loader


@pytest.mark.slow
def test_a_loader_goes_on_after_a_sigterm_until_it_is_closed(
    inputs: LoopInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_prepare_loader", prepare_patient_loader)
    with closing(make(inputs, loaders=1).from_step(0)) as stream:
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
def test_a_loaders_fault_is_one_sentence(inputs: LoopInputs) -> None:
    broken = Broken.open(inputs.photos.folder)
    assert isinstance(pickle.loads(pickle.dumps(broken)), Broken)
    batches = make(LoopInputs(**{**vars(inputs), "photos": broken}), loaders=1)
    with pytest.raises(DataError) as caught:
        micro_batches(batches, 0)
    assert str(caught.value) == "expected a file, got none; write it again"


@pytest.mark.slow
def test_a_loader_that_dies_is_told(inputs: LoopInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_prepare_loader", prepare_patient_loader)
    with closing(make(inputs, loaders=1).from_step(0)) as stream:
        next(stream)
        loader = only_loader()
        loader.kill()
        with pytest.raises(LoaderError, match=r"train\.compute\.loaders"):
            for _ in stream:
                pass
