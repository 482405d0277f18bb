"""Run a tunable network under torch.compile or torch.export, which trace a single call.

There ``torch.func.functional_call`` may swap tensors in the shared modules, and nothing may be decided by
omega's values.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tunable_models._conversion.selection import Slot
from tunable_models._execution.omega_batches import Call, run_by_groups
from tunable_models._execution.rebind import TORCHS_OWN
from tunable_models.errors import ConversionError

Mixed = Mapping[str, Mapping[str, Tensor]]

# torch.compile then runs the call without compiling it, where a state belongs to its omega.
_WRITES = (
    "its forward keeps tensors on self from call to call, which a compiled or exported graph would do at all "
    "omegas; call it without fullgraph=True, or fold it"
)


def run_traced(network: nn.Module, mixed: Callable[[Tensor], Mixed], call: Call, omega: Tensor) -> Any:
    """The source's output.

    Args:
        network: the source's modules.
        mixed: the effective tensors at omega, by module path and name.
        call: what the network is called with.
        omega: (P,) or (B, P).

    Raises:
        ConversionError: a map of omega, or a forward that writes tensors on self.
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
        return _bind_functional(network, tensors)(*call.inputs, **call.options)
    call.check(len(omega))
    # Not vmap, which lacks some operators; the count of samples is a constant of the graph.
    samples = [torch.tensor([b], device=omega.device) for b in range(len(omega))]

    def at(sample: int) -> Any:
        return _bind_functional(network, {name: tensor[sample] for name, tensor in tensors.items()})

    return run_by_groups(at, call, samples)


def _bind_functional(network: nn.Module, tensors: dict[str, Tensor]) -> Callable[..., Any]:
    def call(*inputs: Any, **options: Any) -> Any:
        before = _list_tensors(network)
        output = functional_call(network, tensors, inputs, options, tie_weights=False)
        after = _list_tensors(network)
        if len(before) != len(after) or any(a is not b for a, b in zip(before, after, strict=True)):
            raise ConversionError(_WRITES)
        return output

    return call


def _list_tensors(network: nn.Module) -> list[Tensor]:
    """Tensors that are attributes of modules, or in containers that are, but not registered."""
    found: list[Tensor] = []
    for module in network.modules():
        if not type(module).__module__.startswith("torch.nn"):  # they write nothing, and there are many
            for name, value in module.__dict__.items():
                if name not in TORCHS_OWN:
                    _collect_tensors(value, found)
    return found


def _collect_tensors(value: Any, found: list[Tensor]) -> None:
    if isinstance(value, Tensor):
        found.append(value)
    elif isinstance(value, dict):
        for item in value.values():
            _collect_tensors(item, found)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _collect_tensors(item, found)
