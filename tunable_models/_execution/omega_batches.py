"""Run the samples of a batch that share an omega together: exact for any network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tunable_models.errors import ConversionError, OmegaError


@dataclass(frozen=True)
class Call:
    """What a network is called with, sample by sample.

    Attributes:
        inputs: positional; every tensor has the batch along ``axis``. What holds tensors, such as a list of
            pictures, cannot be split.
        options: by keyword; a tensor that is as long as the batch along ``axis`` has the batch there,
            everything else all samples share.
        axis: of the batch, in inputs and outputs.
    """

    inputs: tuple[Any, ...]
    options: Mapping[str, Any]
    axis: int = 0

    def check(self, batch: int) -> None:
        """Refuse inputs whose batch differs from omega's.

        Raises:
            OmegaError: a tensor among the inputs has another size along the axis.
        """
        for value in self.inputs:
            if isinstance(value, Tensor) and self._length(value) != batch:
                # One plain string: a compiler cannot join two that hold sizes it left open.
                raise OmegaError(
                    f"omega has {batch} rows, the inputs' batch must be as large, got shape "
                    f"{tuple(value.shape)} with the batch along {self.axis}"
                )

    def of(self, network: Callable[..., Any], chosen: Tensor, batch: int) -> Any:
        """The network's output for some samples of the batch."""

        def some(value: Any) -> Any:
            splits = isinstance(value, Tensor) and self._length(value) == batch
            return value.index_select(self.axis, chosen) if splits else value

        return network(*map(some, self.inputs), **{name: some(v) for name, v in self.options.items()})

    def refuse_held_tensors(self, batch: int) -> None:
        """Refuse inputs of which every group would see all samples.

        Raises:
            ConversionError: an input that holds tensors, or an option that holds tensors of the samples.
        """
        held = [v for v in self.inputs if not isinstance(v, Tensor) and _tensors_in(v)]
        held += [v for v in self.options.values() if self._holds_samples(v, batch)]
        if held:
            raise ConversionError(
                "one omega a sample needs inputs that are tensors with the batch in them, got tensors in "
                f"a {type(held[0]).__name__}; use one omega for the batch"
            )

    def _holds_samples(self, value: Any, batch: int) -> bool:
        if isinstance(value, Tensor) or not (tensors := _tensors_in(value)):
            return False
        return len(value) == batch or any(self._length(tensor) == batch for tensor in tensors)

    def _length(self, value: Tensor) -> int:
        return value.shape[self.axis] if value.dim() > self.axis else -1


def _tensors_in(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    values = value.values() if isinstance(value, Mapping) else value
    return [t for v in values for t in _tensors_in(v)] if isinstance(value, (Mapping, list, tuple)) else []


def group_samples(omega: Tensor) -> list[Tensor]:
    """Indices of the samples that can run together: equal rows, unless each needs its own gradient."""
    rows = torch.arange(len(omega), device=omega.device)
    if not omega.requires_grad:
        _, rows = torch.unique(omega, dim=0, return_inverse=True)
    return [(rows == row).nonzero().flatten() for row in range(int(rows.max()) + 1)]


def run_by_groups(at: Callable[[int], Callable[..., Any]], call: Call, groups: list[Tensor]) -> Any:
    """Run the samples of each group together, then put them back in order.

    Args:
        at: the network at the omega of one sample.
        call: what it is called with.
        groups: indices of the samples of each.

    Raises:
        ConversionError: an output whose size along the axis is not its group's samples, or an input that
            holds tensors.
    """
    batch = sum(len(group) for group in groups)
    call.refuse_held_tensors(batch)
    outputs = [call.of(at(int(group[0])), group, batch) for group in groups]
    return _join_outputs(outputs, groups, call.axis)


def _join_outputs(outputs: list[Any], groups: list[Tensor], axis: int) -> Any:
    """The groups' outputs as one, samples in their own order."""
    first = outputs[0]
    if isinstance(first, Tensor):
        sizes = [output.shape[axis] if output.dim() > axis else 0 for output in outputs]
        if sizes != [len(group) for group in groups]:
            raise ConversionError(
                "one omega a sample needs outputs with the batch where the inputs have it, got one of shape "
                f"{tuple(first.shape)} for {len(groups[0])} samples along {axis}; use one omega for the batch"
            )
        return torch.cat(outputs, axis).index_select(axis, torch.argsort(torch.cat(groups)))
    if first is None:
        return None
    if isinstance(first, (tuple, list)):
        parts = [_join_outputs(list(part), groups, axis) for part in zip(*outputs, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    if isinstance(first, dict):
        return {key: _join_outputs([output[key] for output in outputs], groups, axis) for key in first}
    raise ConversionError(f"cannot join outputs of type {type(first).__name__} over samples; use one omega")
