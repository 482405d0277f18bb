"""What is swept: a network of a library, and what it is called with."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Subject:
    """One network.

    Attributes:
        library: that it comes from.
        name: in that library.
        make: gives it with weights as initialised.
        shapes: of one sample of each input, such as (3, 64, 64).
        options: keyword arguments of the call.
        listed: pictures come as a list, and outputs as a list of what belongs to each, as of detectors.
    """

    library: str
    name: str
    make: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    listed: bool = False

    def inputs(self, batch: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """Values in [0, 1]; a sample is the same in every batch."""
        generator = torch.Generator().manual_seed(3)
        drawn = [[torch.rand(shape, generator=generator) for shape in self.shapes] for _ in range(batch)]
        return tuple(torch.stack(samples).to(dtype) for samples in zip(*drawn, strict=True))

    def call(self, network: Any, inputs: Sequence[Tensor], seed: int = 0, **own: Any) -> list[Tensor]:
        """The tensors a network gives; the same random numbers each time, and inputs it may write on."""
        torch.manual_seed(seed)
        given = [list(tensor.clone()) if self.listed else tensor.clone() for tensor in inputs]
        return list(find_tensors(network(*given, **self.options, **own)))

    def join(self, alone: Sequence[Sequence[Tensor]]) -> list[Tensor]:
        """The tensors of a batch from those of each sample alone."""
        if self.listed:
            return [tensor for sample in alone for tensor in sample]
        return [torch.cat(parts) for parts in zip(*alone, strict=True)]


def find_tensors(output: Any) -> Iterator[Tensor]:
    """The tensors of an output, whatever holds them, in order."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for key in sorted(output, key=str):
            yield from find_tensors(output[key])
    elif isinstance(output, (list, tuple)):
        for item in output:
            yield from find_tensors(item)


class MissingLibraryError(Exception):
    """A library that is not installed; the message says how to get it."""
