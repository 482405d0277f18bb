"""The reference of a tunable network, made by hand, and how far outputs lie apart."""

import copy
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from tunable_models import TunableNetwork

DELTAS = "_deltas"


def draw_deltas(net: TunableNetwork, seed: int) -> None:
    """Give every delta normal values, small beside the tensor it is added to, and never zero."""
    generator = torch.Generator().manual_seed(seed)
    named = dict(net.named_parameters(remove_duplicate=False))
    with torch.no_grad():
        for name, deltas in net.named_parameters():
            if name.endswith(DELTAS):
                size = named[name.removesuffix(DELTAS)].abs().square().mean().sqrt()
                deltas.copy_((0.1 * size + 0.01) * torch.randn(deltas.shape, generator=generator))


def make_reference(source: nn.Module, state: Mapping[str, Tensor], omega: Tensor) -> nn.Module:
    """A copy of the source at omega (P,), from the ``state_dict`` of the tunable network.

    The source must not have been called, so that the copy holds nothing computed from other weights.
    """
    plain = copy.deepcopy(source)
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            for value, delta in zip(omega.tolist(), state.get(f"network.{name}{DELTAS}", ()), strict=False):
                parameter.add_(delta, alpha=value)
    # Some networks compute tensors from their parameters where the mode changes.
    return plain.train().eval()


def measure_difference(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """The largest difference in parts of the largest value of each tensor; infinite for other shapes."""
    if [tensor.shape for tensor in found] != [tensor.shape for tensor in wanted]:
        return math.inf
    differences = [_difference(*pair) for pair in zip(found, wanted, strict=True)]
    return max(differences, default=math.inf)


def _difference(found: Tensor, wanted: Tensor) -> float:
    if not wanted.numel():
        return 0.0
    found, wanted = (
        t.detach().to(torch.complex128 if t.is_complex() else torch.float64) for t in (found, wanted)
    )
    scale = wanted.abs().max().item()
    difference = (found - wanted).abs().max().item() / max(scale, 1e-30)
    return difference if math.isfinite(difference) else math.inf
