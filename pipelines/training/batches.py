"""Training batches: a function of (seed, step, index in the global batch) alone, on any number of workers."""

import signal
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipelines.core.errors import ConfigError, DataError, LoaderError, PipelineError
from pipelines.core.random_streams import stream_seed
from pipelines.data.order import Order
from pipelines.data.photos import PhotoSet
from pipelines.data.transforms import Augment
from pipelines.tasks import Example, Key, Task
from pipelines.training.config import TrainConfig
from pipelines.training.phases import Phases
from tunable_models import ControlSpace

GRACE_S = 60
"""Seconds that a loader continues after SIGTERM, until training has closed it; SIGALRM then ends it."""

LOADER_TIMEOUT_S = 300
"""Seconds without a patch after which a loader counts as dead."""


@dataclass(frozen=True)
class Share:
    """Which part of every batch a worker computes: worker ``rank`` of ``count``."""

    rank: int
    count: int

    def micro_batches(self, batch_size: int, group: int, accumulate: int) -> list[range]:
        """Indices in the global batch, in ``accumulate`` micro-batches of whole groups, none of them empty.

        Raises:
            ConfigError: there are fewer groups than micro-batches over all workers.
        """
        groups = batch_size // group
        if groups < self.count * accumulate:
            raise ConfigError(
                f"train.batch_size {batch_size} has {groups} groups of train.sampling.group ({group}), fewer "
                f"than the {self.count} workers times train.compute.accumulate ({accumulate}); each needs one"
            )
        mine = _split(range(groups), self.rank, self.count)
        return [_to_samples(_split(mine, index, accumulate), group) for index in range(accumulate)]


def _split(groups: range, index: int, count: int) -> range:
    """One of ``count`` parts whose lengths differ by one at most."""
    ends = [len(groups) * i // count for i in (index, index + 1)]
    return groups[ends[0] : ends[1]]


def _to_samples(groups: range, group: int) -> range:
    return range(groups.start * group, groups.stop * group)


@dataclass(frozen=True)
class Batch:
    """Examples to learn from, and the omega (B, P) to learn them at.

    Attributes:
        example: of the task.
        omega: one row a sample; the rows of a group are equal and adjacent.
        key: of the random streams for the network's own draws.
    """

    example: Example
    omega: Tensor
    key: Key = ()


@dataclass(frozen=True)
class _Cut:
    """A micro-batch before degradation: patches (B, p, p, 3), 8-bit."""

    patches: Tensor
    omega: Tensor
    keys: list[Key]

    def pin_memory(self) -> "_Cut":
        """The same in pinned memory; torch's loader calls this."""
        return replace(self, patches=self.patches.pin_memory(), omega=self.omega.pin_memory())


class Batches:
    """One worker's share of every batch, in micro-batches.

    Args:
        photos: to cut patches from.
        task: which degrades them, on the device.

    Raises:
        DataError: a photograph is smaller than a patch.
    """

    def __init__(
        self,
        photos: PhotoSet,
        task: Task,
        config: TrainConfig,
        device: torch.device,
        share: Share = Share(0, 1),
    ) -> None:
        _check_sizes(photos, config.patch_px)
        self._task, self._config, self._device = task, config, device
        self._cuts = _Cuts(photos, task.space, config, share)

    def from_step(self, step: int) -> Generator[list[Batch]]:
        """The micro-batches of this step and of all later ones, without end; to be closed by the caller.

        While a step is computed, a thread prepares the next one.

        Raises:
            DataError: photographs have become unreadable.
            LoaderError: a loader process died or hangs.
        """
        cuts = self._cuts.from_step(step, self._config.compute.loaders, pin=self._device.type == "cuda")
        with closing(cuts), ThreadPoolExecutor(1, "batches") as pool:
            ahead = pool.submit(self._make_micro_batches, cuts)
            while True:
                micro_batches = ahead.result()
                ahead = pool.submit(self._make_micro_batches, cuts)
                yield micro_batches

    def _make_micro_batches(self, cuts: Iterator[_Cut]) -> list[Batch]:
        return [self._degrade(next(cuts)) for _ in range(self._config.compute.accumulate)]

    def _degrade(self, cut: _Cut) -> Batch:
        patches = cut.patches.to(self._device, non_blocking=True)
        clean = patches.permute(0, 3, 1, 2).float() / 255
        omega = cut.omega.to(self._device, non_blocking=True)
        return Batch(self._task.sample(clean, omega, cut.keys), omega, (*cut.keys[0], "network"))


class _Cuts(Dataset[_Cut]):
    """``cuts[i]`` is micro-batch i % ``accumulate`` of step i // ``accumulate``; picklable, for loaders."""

    def __init__(self, photos: PhotoSet, space: ControlSpace, config: TrainConfig, share: Share) -> None:
        self._photos, self._seed, self._batch_size = photos, config.seed, config.batch_size
        self._order = Order.of(photos, config.seed, config.window)
        self._augment = Augment(config.patch_px)
        self._group = config.sampling.group
        self._sampler = config.sampling.sampler(space, config.batch_size // self._group)
        self._phases = Phases(config.network.method, space, config.steps)
        self._micro_batches = share.micro_batches(config.batch_size, self._group, config.compute.accumulate)

    def __getitem__(self, number: int) -> _Cut:
        step, index = divmod(number, len(self._micro_batches))
        indices = self._micro_batches[index]
        keys: list[Key] = [(self._seed, step, index) for index in indices]
        if shards := self._order.upcoming(step * self._batch_size + indices.start):
            self._photos.prefetch(shards)
        patches = np.stack([self._patch(step, index) for index in indices])
        return _Cut(torch.from_numpy(patches), self._omega(step, indices), keys)

    def _patch(self, step: int, index: int) -> Any:
        photo = self._photos[self._order(step * self._batch_size + index)]
        return self._augment(photo, stream_seed(self._seed, step, index, "crop"))

    def _omega(self, step: int, indices: range) -> Tensor:
        fixed = self._phases.at(step).phase.at
        if fixed is not None:
            return torch.tensor(fixed).repeat(len(indices), 1)
        # Samples of one group share an omega, which the network then mixes once.
        groups = range(indices.start // self._group, indices.stop // self._group)
        return self._sampler(self._seed, step, groups).repeat_interleave(self._group, 0)

    def from_step(self, step: int, loaders: int, *, pin: bool) -> Generator[_Cut]:
        """From the first micro-batch of a step on, by that many loader processes."""
        numbers = count(step * len(self._micro_batches))
        if not loaders:
            return (self[number] for number in numbers)
        return _translate_errors(
            DataLoader(
                self,
                batch_size=None,
                sampler=numbers,
                num_workers=loaders,
                # A fork of a process that has threads, as every worker of Ray does, may hang.
                multiprocessing_context="spawn",
                worker_init_fn=_prepare_loader,
                pin_memory=pin,
                timeout=LOADER_TIMEOUT_S,
            )
        )


def _prepare_loader(_: int) -> None:
    # Signals reach every process of a terminal or a job; the training process decides what follows, and needs
    # patches until then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE_S))


def _translate_errors(loader: Any) -> Generator[_Cut]:
    """The loader's cuts; its errors as errors of the pipeline."""
    cuts = iter(loader)
    try:
        yield from cuts
    except PipelineError as error:
        # torch puts the traceback of the loader into the message; its last line is the original message.
        last = str(error).strip().splitlines()[-1]
        raise type(error)(last.partition(": ")[2] or last) from error
    except (RuntimeError, OSError, EOFError) as error:  # the last two where it died handing over a tensor
        raise LoaderError(
            f"a loader process failed: {error}; run again, with fewer train.compute.loaders if it was killed "
            "for want of memory"
        ) from error
    finally:
        # An error's traceback holds the iterator, which ends its processes only when it is collected; until
        # then they wait for work, and this process for them. torch has no public method for it.
        cuts._shutdown_workers()


def _check_sizes(photos: PhotoSet, patch_px: int) -> None:
    for name, (height, width) in zip(photos.names, photos.sizes, strict=True):
        if min(height, width) < patch_px:
            raise DataError(
                f"{name} is {width}x{height} px, smaller than train.patch_px {patch_px}; lower it or raise "
                "prepare.min_side_px"
            )
