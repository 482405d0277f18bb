"""Numbers on held-out photographs during training, shared out between the workers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from pipelines.data.photos import PhotoSet
from pipelines.tasks import Example, Task
from pipelines.tasks.decibels import nearness
from pipelines.training.batches import Share
from pipelines.training.collectives import sum_over_workers
from tunable_models import ControlSpace, TunableNetwork


class Validation:
    """Loss, and PSNR to what each setting asks for, at the ends of the sliders and at their defaults.

    Args:
        photos: held out by the ``prepare`` stage; worker ``rank`` looks at every ``count``-th.
        task: which degrades them, at the levels that condition controls name, and else at its usual ones.
        crop_px: side of the centre crop.
        unit: sides are multiples of it.
        seed: of the noise, which is the same at every look.
        share: of this worker.
        device: of the network.
    """

    def __init__(
        self,
        photos: PhotoSet,
        task: Task,
        *,
        crop_px: int,
        unit: int,
        seed: int,
        share: Share,
        device: torch.device,
    ) -> None:
        self._photos, self._task, self._share, self._device = photos, task, share, device
        self._crop_px, self._unit, self._seed = crop_px, unit, seed

    def __call__(self, network: TunableNetwork) -> dict[str, Any]:
        """``loss`` and ``psnr``, means over all settings; and both for each setting, by its name.

        ``psnr`` is missing where the task's settings ask for no picture. The same on every worker.
        """
        omegas = ends_and_default(network.space)
        with evaluating(network), torch.inference_mode():
            sums = self._sums(network, omegas.to(self._device))
        if self._share.count > 1:
            sums = sum_over_workers(sums)
        means = (sums / len(self._photos)).tolist()
        at = {setting_name(network.space, w): _numbers(*m) for w, m in zip(omegas, means, strict=True)}
        names = next(iter(at.values()))
        return {**{name: _mean([numbers[name] for numbers in at.values()]) for name in names}, "at": at}

    def _sums(self, network: TunableNetwork, omegas: Tensor) -> Tensor:
        """Loss and PSNR added up over this worker's photographs, (S, 2) float64; no PSNR is NaN."""
        views = [network.at(omega) for omega in omegas]
        sums = torch.zeros(len(omegas), 2, dtype=torch.float64, device=self._device)
        for number in range(self._share.rank, len(self._photos), self._share.count):
            clean = centre_crop(self._photos, number, self._crop_px, self._unit).to(self._device)
            key = (self._seed, "validation", number)
            usual = self._task.degrade(clean, self._task.levels, key)
            for setting, (omega, view) in enumerate(zip(omegas, views, strict=True)):
                truth = self._task.matched(omega.cpu())
                levels = {**self._task.levels, **(truth or {})}
                example = self._task.degrade(clean, levels, key) if truth else usual
                sums[setting] += self._measured(view(example.inputs), example, omega.unsqueeze(0))
        return sums

    def _measured(self, output: Tensor, example: Example, omega: Tensor) -> Tensor:
        loss = self._task.loss(output, example, omega)
        aim = self._task.aim(example, omega)
        likeness = torch.full_like(loss, torch.nan) if aim is None else nearness(output, aim)
        return torch.stack([loss, likeness], dim=1)[0].double()


@contextmanager
def evaluating(network: TunableNetwork) -> Iterator[None]:
    """The network without dropout and its like, for the length of the block."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def ends_and_default(space: ControlSpace) -> Tensor:
    """The vertices, and the defaults where they are none of them; (S, P)."""
    settings = torch.tensor(space.vertices)
    default = space.omega().unsqueeze(0)
    is_vertex = bool((settings == default).all(dim=1).any())
    return settings if is_vertex else torch.cat([settings, default])


def setting_name(space: ControlSpace, omega: Tensor) -> str:
    """Such as ``denoise 1 deblur 0``, in the controls' own units."""
    return " ".join(f"{name} {value:g}" for name, value in space.values(omega.cpu()).items())


def centre_crop(photos: PhotoSet, number: int, crop_px: int, unit: int) -> Tensor:
    """The middle of a photograph (1, 3, H, W) in [0, 1], sides multiples of ``unit``."""
    whole = photos.sizes[number]
    height, width = (max(min(side, crop_px) // unit * unit, 1) for side in whole)
    top, left = (whole[0] - height) // 2, (whole[1] - width) // 2
    pixels = photos[number][top : top + height, left : left + width]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).unsqueeze(0).float() / 255


def _numbers(loss: float, likeness: float) -> dict[str, float]:
    return {"loss": loss} if likeness != likeness else {"loss": loss, "psnr": likeness}


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
