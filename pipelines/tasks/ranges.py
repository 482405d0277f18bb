"""Ranges of strengths, and the draws that every training sample makes from them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipelines.core.random_streams import generator
from pipelines.tasks.task import Key

Range = tuple[float, float]


def check_range(name: str, values: Range, limit: float) -> None:
    """Refuse a range that is not ordered or leaves 0..limit.

    Raises:
        ValueError: what a pydantic validator turns into a sentence.
    """
    low, high = values
    if not 0 <= low <= high <= limit:
        raise ValueError(f"{name} must be [low, high] within 0..{limit:g}, got [{low:g}, {high:g}]")


def middle(values: Range) -> float:
    """The strength a range is evaluated at."""
    return (values[0] + values[1]) / 2


def draw_strengths(ranges: Sequence[Range], keys: Sequence[Key], shape: torch.Size) -> tuple[Tensor, Tensor]:
    """Strengths (B, R), uniform in the R ranges, and normal noise (B, *shape), one stream a key."""
    draws = [_draw(ranges, key, shape) for key in keys]
    return torch.stack([strengths for strengths, _ in draws]), torch.stack([noise for _, noise in draws])


def _draw(ranges: Sequence[Range], key: Key, shape: torch.Size) -> tuple[Tensor, Tensor]:
    stream = generator(*key, "degradation")
    bounds = torch.tensor(ranges).view(-1, 2)
    strengths = bounds[:, 0] + torch.rand(len(bounds), generator=stream) * (bounds[:, 1] - bounds[:, 0])
    return strengths, torch.randn(shape, generator=stream)
