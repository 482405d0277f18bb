"""The interface of omega samplers, and the keyed random streams that they draw from.

Row i of a draw is a function of (seed, step, indices[i]) and of nothing else: a batch gives the same
omegas however it is split over processes, and after a resume.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Generator, Tensor

from tunable_models.controls import ControlSpace
from tunable_models.errors import OmegaError


class Sampler(Protocol):
    """Gives the omegas of any step.

    Example:
        >>> from tunable_models import ControlSpace, Uniform
        >>> def mean_setting(sampler: Sampler) -> torch.Tensor:
        ...     return sampler(0, 1, range(1000)).mean(0)
        >>> mean_setting(Uniform(ControlSpace.box("denoise"))).sub(0.5).abs().item() < 0.05
        True
    """

    @property
    def space(self) -> ControlSpace:
        """The space of the omegas."""
        ...

    def __call__(self, seed: int, step: int, indices: Sequence[int]) -> Tensor:
        """The omegas of some of a step's indices.

        Args:
            seed: of the whole run.
            step: which optimiser step, from 0.
            indices: global indices of what gets an omega of its own: a sample, or a group of samples.

        Returns:
            (n, P) float32 on the CPU, each row in the space; row i depends on seed, step and
            indices[i] alone.

        Raises:
            OmegaError: a negative step.
        """
        ...


class RowSampler(ABC):
    """A sampler that draws every row from a random stream of its own.

    Attributes:
        space: of the omegas.
    """

    def __init__(self, space: ControlSpace) -> None:
        self.space = space

    def __call__(self, seed: int, step: int, indices: Sequence[int]) -> Tensor:
        """(n, P) omegas; see :class:`Sampler`."""
        rows = [self._draw(keyed_generator(seed, step, index)) for index in indices]
        return torch.stack(rows).float() if rows else torch.empty(0, len(self.space))

    @abstractmethod
    def _draw(self, generator: Generator) -> Tensor:
        """One omega (P,), float64."""


def keyed_generator(seed: int, step: int, index: int, purpose: str = "omega") -> Generator:
    """A CPU generator that depends on its key alone, on every platform.

    Raises:
        OmegaError: a negative step.
    """
    check_step(step)
    key = repr((int(seed), int(step), int(index), purpose))
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


def check_number(name: str, value: float, low: float, high: float) -> float:
    """The value, if it is within [low, high]; NaN never is.

    Raises:
        OmegaError: it does not.
    """
    if isinstance(value, bool) or not low <= value <= high:
        raise OmegaError(f"{name} must be between {low:g} and {high:g}, got {value!r}")
    return value


def visit_number(step: int, index: int, per_step: int) -> int:
    """The number of a step's index in the count over all steps.

    Raises:
        OmegaError: a negative step, or an index that is negative or not less than ``per_step``.
    """
    check_step(step)
    if not 0 <= index < per_step:
        raise OmegaError(f"this sampler counts {per_step} omegas a step (per_step), got index {index}")
    return step * per_step + index


def check_step(step: int) -> None:
    """Whether it is counted from 0.

    Raises:
        OmegaError: it is negative.
    """
    if step < 0:
        raise OmegaError(f"expected a step counted from 0, got {step}")
