"""Numbers on held-out photographs during training, shared out between the workers."""

from math import isnan
from typing import Any

import torch
from torch import Tensor

from pipelines.data.photos import PhotoSet
from pipelines.measure.photographs import Batches, CenterCrops, Photographs
from pipelines.measure.runner import evaluation_mode, own_loss, own_psnr, run_at
from pipelines.measure.settings import setting_name, vertices_and_default
from pipelines.tasks import Task
from pipelines.training.batches import Share
from pipelines.training.collectives import sum_over_workers
from tunable_models import TunableNetwork


class Validation:
    """Loss, and PSNR to what each setting asks for, at the ends of the sliders and at their defaults.

    Args:
        photos: held out by the ``prepare`` stage; worker ``rank`` looks at every ``count``-th.
        task: which degrades them, at the levels that condition controls name, and else at its usual ones.
        crop_px: side of the center crop.
        unit: sides are multiples of it.
        seed: of the noise, which is the same at every look.
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
        self._task, self._share, self._device = task, share, device
        clean = CenterCrops(photos, crop_px, unit)
        self._photographs = Photographs(task, clean, (seed, "validation"), device=device)

    def __call__(self, network: TunableNetwork) -> dict[str, Any]:
        """``loss`` and ``psnr``, means over all settings; and both for each setting, by its name.

        ``psnr`` is missing where the task's settings ask for no picture. The same on every worker.
        """
        omegas = vertices_and_default(network.space)
        with evaluation_mode(network), torch.inference_mode():
            sums = self._sum_numbers(network, omegas)
        if self._share.count > 1:
            sums = sum_over_workers(sums)
        means = (sums / len(self._photographs)).tolist()
        at = {
            setting_name(network.space, omega): {"loss": loss}
            if isnan(psnr)
            else {"loss": loss, "psnr": psnr}
            for omega, (loss, psnr) in zip(omegas, means, strict=True)
        }
        names = next(iter(at.values()))
        return {**{name: sum(numbers[name] for numbers in at.values()) / len(at) for name in names}, "at": at}

    def _sum_numbers(self, network: TunableNetwork, omegas: Tensor) -> Tensor:
        """Loss and PSNR added up over this worker's photographs, (S, 2) float64; no PSNR is NaN."""
        runs = [run_at(network, omega) for omega in omegas]
        sums = torch.zeros(len(omegas), 2, dtype=torch.float64, device=self._device)
        for number in range(self._share.rank, len(self._photographs), self._share.count):
            photograph = Batches(self._photographs, [number])
            for setting, (omega, run) in enumerate(zip(omegas, runs, strict=True)):
                [batch] = photograph.at_setting(omega)
                output = run(batch.raw.inputs)
                loss = own_loss(self._task, output, batch.raw, omega)
                psnr = own_psnr(self._task, output, batch.raw, omega)
                numbers = [loss, torch.full_like(loss, torch.nan) if psnr is None else psnr]
                sums[setting] += torch.stack(numbers, dim=1)[0].double()
        return sums
