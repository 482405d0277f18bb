"""The photographs that networks are scored on: crops of one size, degraded alike for every network.

Shapes: B photographs, s the task's scale; clean crops are (B, 3, sH, sW).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pipelines.core.errors import ConfigError, DataError
from pipelines.data.photos import PhotoSet
from pipelines.measure.shown import shown
from pipelines.search.scoring.measure_config import MeasureConfig
from pipelines.tasks import Example, Task
from pipelines.training.validation import centre_crop


@dataclass(frozen=True)
class Batch:
    """Some photographs, degraded.

    Attributes:
        raw: as the network and its loss see them.
        shown: as a person does, within [0, 1].
    """

    raw: Example
    shown: Example


class Crops:
    """Degraded examples of all photographs, kept once they were made.

    Args:
        task: which degrades them.
        clean: crops of one size, in batches.
        seed: of the noise, which depends on it and on the photograph's number alone.
    """

    def __init__(self, task: Task, clean: Sequence[Tensor], seed: int) -> None:
        self._task, self._seed = task, seed
        self._clean = list(clean)
        self._kept: dict[tuple[tuple[str, float], ...], list[Batch]] = {}

    def usual(self) -> list[Batch]:
        """At the task's usual strengths."""
        return self._at(self._task.levels)

    def faced(self, omega: Tensor) -> list[Batch]:
        """At what condition controls at omega (P,) stand for; the usual ones without such controls."""
        return self._at({**self._task.levels, **(self._task.matched(omega) or {})})

    def _at(self, levels: Mapping[str, float]) -> list[Batch]:
        key = tuple(sorted(levels.items()))
        if key not in self._kept:
            self._kept[key] = [Batch(raw, shown(raw)) for raw in self._degraded(levels)]
        return self._kept[key]

    def _degraded(self, levels: Mapping[str, float]) -> list[Example]:
        number, examples = 0, []
        for clean in self._clean:
            each = []
            for row in torch.split(clean, 1):
                each.append(self._task.degrade(row, levels, (self._seed, "search", number)))
                number += 1
            examples.append(_joined(each))
        return examples


def clean_crops(folder: Path, config: MeasureConfig, unit: int, device: torch.device) -> list[Tensor]:
    """Batches (B, 3, S, S) in [0, 1], S being ``crop_px``.

    Args:
        folder: of the validation photographs.
        config: how many of them, how large, how many together.
        unit: sides of clean crops must be multiples of it.
        device: where they will be.

    Raises:
        ConfigError: ``crop_px`` is no multiple of ``unit``.
        DataError: there are too few photographs, or one is too small.
    """
    if config.crop_px % unit:
        raise ConfigError(
            f"params.yaml: search.measure.crop_px {config.crop_px} must be a multiple of {unit}, for the "
            "network's inputs"
        )
    photos = PhotoSet.open(folder)
    numbers = range(_count(len(photos), config))
    for number in numbers:
        _check_size(photos, number, config.crop_px)
    crops = torch.cat([centre_crop(photos, number, config.crop_px, unit) for number in numbers])
    return list(torch.split(crops.to(device), config.batch))


def _count(available: int, config: MeasureConfig) -> int:
    wanted = config.photos or max(available, 1)
    if wanted > available:
        raise DataError(
            f"expected {wanted} validation photographs at least, got {available}; raise "
            "prepare.validation_photos" + (" or lower search.measure.photos" if available else "")
        )
    return wanted


def _check_size(photos: PhotoSet, number: int, crop_px: int) -> None:
    height, width = photos.sizes[number]
    if min(height, width) < crop_px:
        raise DataError(
            f"expected validation photographs of {crop_px} x {crop_px} px at least, got {height} x {width} "
            f"of {photos.names[number]!r}; lower search.measure.crop_px to {min(height, width)} or less, or "
            "raise prepare.min_side_px"
        )


def _joined(examples: Sequence[Example]) -> Example:
    targets = {name: torch.cat([e.targets[name] for e in examples]) for name in examples[0].targets}
    return Example(torch.cat([example.inputs for example in examples]), targets)
