"""Samples of a batch that share an omega run together: exact for any network, whatever its layers do."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tunable_models.errors import ConversionError, OmegaError


def check_batch(inputs: tuple[Any, ...], batch: int) -> None:
    """Refuse inputs whose batch differs from omega's.

    Raises:
        OmegaError: a tensor's first dimension is not ``batch``.
    """
    for value in inputs:
        if isinstance(value, Tensor) and (value.dim() == 0 or value.shape[0] != batch):
            raise OmegaError(
                f"omega has {batch} rows, the inputs' batch must be as large, got shape {tuple(value.shape)}"
            )


def groups_of(omega: Tensor) -> list[Tensor]:
    """Indices of the samples that can run together: equal rows, unless each needs its own gradient."""
    rows = torch.arange(len(omega), device=omega.device)
    if not omega.requires_grad:
        _, rows = torch.unique(omega, dim=0, return_inverse=True)
    return [(rows == row).nonzero().flatten() for row in range(int(rows.max()) + 1)]


def run_by_groups(
    at: Callable[[Tensor], nn.Module],
    inputs: tuple[Any, ...],
    options: dict[str, Any],
    omega: Tensor,
    groups: list[Tensor],
) -> Any:
    """Run the samples of each group together, then put them back in order.

    Args:
        at: the network at one omega (P,).
        inputs: tensors with the batch first, or values that all samples share.
        options: keyword arguments, the same for every sample.
        omega: (B, P).
        groups: indices of the samples of each.
    """
    outputs = [at(omega[group[0]])(*rows(inputs, group), **options) for group in groups]
    back = torch.argsort(torch.cat(groups))
    return join(outputs, [len(group) for group in groups], back)


def rows(inputs: tuple[Any, ...], chosen: Tensor | slice) -> list[Any]:
    """The inputs of some samples; what is no tensor all samples share."""
    return [value[chosen] if isinstance(value, Tensor) else value for value in inputs]


def join(outputs: list[Any], sizes: list[int], back: Tensor | None = None) -> Any:
    """The groups' outputs as one.

    Args:
        outputs: one a group: tensors with the batch first, or tuples, lists and dicts of them.
        sizes: how many samples each group has.
        back: (B,) where the rows go to be in the samples' own order; None if they are.

    Raises:
        ConversionError: an output whose first dimension is not its group's samples.
    """
    first = outputs[0]
    if isinstance(first, Tensor):
        if [len(output) if output.dim() else 0 for output in outputs] != sizes:
            raise ConversionError(
                "one omega a sample needs inputs and outputs with the batch first, got an output of shape "
                f"{tuple(first.shape)} for {sizes[0]} samples; use one omega for the batch"
            )
        whole = torch.cat(outputs)
        return whole if back is None else whole[back]
    if isinstance(first, (tuple, list)):
        parts = [join(list(part), sizes, back) for part in zip(*outputs, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    if isinstance(first, dict):
        return {key: join([output[key] for output in outputs], sizes, back) for key in first}
    raise ConversionError(f"cannot join outputs of type {type(first).__name__} over samples; use one omega")
