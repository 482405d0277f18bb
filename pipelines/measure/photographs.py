"""Held-out photographs as every network gets them: center crops, degraded with noise that is always the same.

Shapes: B photographs, s the task's scale; clean crops are (B, 3, sH, sW), inputs (B, 3, H, W).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from pipelines.core.errors import DataError
from pipelines.data.photos import PhotoSet
from pipelines.tasks import Example, Key, Task


class CenterCrops:
    """The middle of each photograph, (1, 3, H, W) in [0, 1], read when it is asked for.

    Args:
        crop_px: side of a crop, less where the photograph is smaller; None for the whole photograph.
        unit: sides are cut to multiples of it.
        count: how many photographs, the first ones; None for all.
        min_side_px: the shortest side that a crop may have.

    Raises:
        DataError: a crop would be smaller.
    """

    def __init__(
        self,
        photos: PhotoSet,
        crop_px: int | None,
        unit: int,
        *,
        count: int | None = None,
        min_side_px: int = 1,
    ) -> None:
        self._photos, self._sizes = photos, list[tuple[int, int]]()
        for name, whole in list(zip(photos.names, photos.sizes, strict=True))[:count]:
            height, width = (max(min(side, crop_px or side) // unit * unit, 1) for side in whole)
            if min(height, width) < min_side_px:
                lower = f" or lower crop_px to {min(whole)}" if crop_px == min_side_px else ""
                raise DataError(
                    f"expected photographs of at least {min_side_px} x {min_side_px} px, got {whole[0]} x "
                    f"{whole[1]} of {name!r}; raise prepare.min_side_px{lower}"
                )
            self._sizes.append((height, width))

    def __len__(self) -> int:
        return len(self._sizes)

    def __getitem__(self, number: int) -> Tensor:
        (height, width), whole = self._sizes[number], self._photos.sizes[number]
        top, left = (whole[0] - height) // 2, (whole[1] - width) // 2
        pixels = self._photos[number][top : top + height, left : left + width]
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1).unsqueeze(0).float() / 255


class Photographs:
    """Clean photographs and a task that degrades them.

    The noise depends on the key and on the photograph's number alone, so that every network gets the same.

    Args:
        clean: crops (1, 3, sH, sW) in [0, 1].
        key: names the random streams of the noise.
        levels: strengths of the degradation; the task's usual ones by default.
    """

    def __init__(
        self,
        task: Task,
        clean: CenterCrops | Sequence[Tensor],
        key: Key,
        *,
        levels: Mapping[str, float] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.task, self.levels = task, dict(task.levels if levels is None else levels)
        self._clean, self._key, self._device = clean, key, device

    def __len__(self) -> int:
        return len(self._clean)

    def degrade(self, number: int, levels: Mapping[str, float] | None = None) -> Example:
        """One photograph, with other strengths than the usual ones where ``levels`` names them."""
        clean = self._clean[number].to(self._device)
        return self.task.degrade(clean, {**self.levels, **(levels or {})}, (*self._key, number))


@dataclass(frozen=True)
class Batch:
    """Some photographs, degraded, as the network and its loss see them."""

    raw: Example

    @cached_property
    def shown(self) -> Example:
        """The same as they are displayed, within [0, 1]."""
        return clamp_example(self.raw)


class Batches:
    """Degraded photographs in batches, which are kept once they are made.

    Args:
        numbers: which of them.
        size: photographs in a batch, which have one size then.
    """

    def __init__(self, photographs: Photographs, numbers: Sequence[int], size: int = 1) -> None:
        self._photographs = photographs
        self._groups = [numbers[start : start + size] for start in range(0, len(numbers), size)]
        self._kept: dict[tuple[tuple[str, float], ...], list[Batch]] = {}

    def at_usual_levels(self) -> list[Batch]:
        """At the usual strengths."""
        return self.at_levels({})

    def at_setting(self, omega: Tensor) -> list[Batch]:
        """At the strengths that condition controls at omega (P,) stand for, and else at the usual ones."""
        return self.at_levels(self._photographs.task.matched(omega.cpu()) or {})

    def at_levels(self, levels: Mapping[str, float]) -> list[Batch]:
        """At these strengths in place of the usual ones."""
        levels = {**self._photographs.levels, **levels}
        key = tuple(sorted(levels.items()))
        if key not in self._kept:
            self._kept[key] = [self._degrade(group, levels) for group in self._groups]
        return self._kept[key]

    def _degrade(self, numbers: Sequence[int], levels: Mapping[str, float]) -> Batch:
        # One at a time: the noise of a photograph must not depend on its batch.
        return Batch(_join_examples([self._photographs.degrade(number, levels) for number in numbers]))


def clamp_example(example: Example) -> Example:
    """The example as it is displayed: every picture within [0, 1].

    One rule for every comparison, also with noisy targets, whose noise is not clipped when it is added.
    """
    targets = {name: target.clamp(0, 1) for name, target in example.targets.items()}
    return Example(example.inputs.clamp(0, 1), targets)


def upscale_inputs(inputs: Tensor, like: Tensor) -> Tensor:
    """Inputs in the size of an output: the bicubic picture that a viewer shows without a network."""
    if inputs.shape == like.shape:
        return inputs
    return functional.interpolate(inputs, size=like.shape[-2:], mode="bicubic", align_corners=False)


def _join_examples(examples: Sequence[Example]) -> Example:
    if len(examples) == 1:
        return examples[0]
    targets = {name: torch.cat([e.targets[name] for e in examples]) for name in examples[0].targets}
    return Example(torch.cat([example.inputs for example in examples]), targets)
