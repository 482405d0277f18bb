"""Training batches: a function of (seed, step, index in the global batch), whoever computes them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipelines.data.augment import Augment
from pipelines.data.photos import PhotoSet
from pipelines.errors import DataError
from pipelines.streams import generator, stream_seed
from pipelines.tasks import Example, Key, Task
from pipelines.train.config import TrainConfig


@dataclass(frozen=True)
class Share:
    """Which part of every batch a worker computes: worker ``rank`` of ``count``."""

    rank: int
    count: int


@dataclass(frozen=True)
class Batch:
    """Examples to learn from, and the omega (B, P) to learn them at."""

    example: Example
    omega: Tensor


class Batches:
    """Makes any step's batch, on demand.

    Raises:
        DataError: a photograph is smaller than a patch.
    """

    def __init__(self, photos: PhotoSet, task: Task, config: TrainConfig, device: torch.device) -> None:
        for name, photo in zip(photos.names, photos, strict=True):
            if min(photo.shape[:2]) < config.patch_px:
                raise DataError(
                    f"{name} is {photo.shape[1]}x{photo.shape[0]} px, smaller than train.patch_px "
                    f"{config.patch_px}; lower it or raise prepare.min_side_px"
                )
        self._photos, self._task, self._config, self._device = photos, task, config, device
        self._augment = Augment(config.patch_px)
        self._sampler = config.sampling.sampler(task.space, config.batch_size // config.sampling.group)
        # Every pixel equally likely: larger photographs are drawn more often.
        pixels = torch.tensor([photo.shape[0] * photo.shape[1] for photo in photos], dtype=torch.float64)
        self._odds = pixels / pixels.sum()

    def __call__(self, step: int, share: Share) -> Batch:
        """The share of the batch of that step, on the device."""
        size = self._config.batch_size // share.count
        indices = range(share.rank * size, (share.rank + 1) * size)
        keys: list[Key] = [(self._config.seed, step, index) for index in indices]
        clean = torch.stack([self._patch(key) for key in keys]).to(self._device)
        omega = self._omega(step, indices).to(self._device)
        return Batch(self._task.sample(clean, omega, keys), omega)

    def _patch(self, key: Key) -> Tensor:
        chosen = int(torch.multinomial(self._odds, 1, generator=generator(*key, "photo")))
        patch = self._augment(self._photos[chosen], stream_seed(*key, "crop"))
        return torch.from_numpy(np.ascontiguousarray(patch)).permute(2, 0, 1).float() / 255

    def _omega(self, step: int, indices: range) -> Tensor:
        # Samples of one group share an omega, which the network then mixes once.
        groups = [index // self._config.sampling.group for index in indices]
        distinct = sorted(set(groups))
        drawn = self._sampler(self._config.seed, step, distinct)
        return drawn[[distinct.index(group) for group in groups]]
