"""Running under a compiler, which traces one call and lets no other in between.

There ``torch.func.functional_call`` may swap tensors in the shared modules, and nothing may be decided by
omega's values.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tunable_models.errors import ConversionError
from tunable_models.groups import Call, run_by_groups
from tunable_models.selection import Slot

Mixed = Mapping[str, Mapping[str, Tensor]]


def run_traced(network: nn.Module, mixed: Callable[[Tensor], Mixed], call: Call, omega: Tensor) -> Any:
    """The source's output.

    Args:
        network: the source's modules.
        mixed: the effective tensors at omega, by module path and name.
        call: what the network is called with.
        omega: (P,) or (B, P).

    Raises:
        ConversionError: a map of omega.
        OmegaError: the batch of omega differs from the inputs'.
    """
    if omega.dim() == 4:
        raise ConversionError("a map of omega cannot be compiled; call the network without torch.compile")
    tensors = {
        Slot(path, name).full_name: tensor
        for path, named in mixed(omega).items()
        for name, tensor in named.items()
    }
    if omega.dim() == 1:
        return _functional(network, tensors)(*call.inputs, **call.options)
    call.check(len(omega))
    # Not vmap, which does not know every operator; the count of samples is a constant of the graph.
    samples = [torch.tensor([b], device=omega.device) for b in range(len(omega))]

    def at(sample: int) -> Any:
        return _functional(network, {name: tensor[sample] for name, tensor in tensors.items()})

    return run_by_groups(at, call, samples)


def _functional(network: nn.Module, tensors: dict[str, Tensor]) -> Callable[..., Any]:
    def call(*inputs: Any, **options: Any) -> Any:
        return functional_call(network, tensors, inputs, options, tie_weights=False)

    return call
