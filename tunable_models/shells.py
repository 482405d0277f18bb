"""Shells: a network bound to other tensors, without a word written on it.

A shell is a shallow copy of a module that holds mixed tensors; every module on the way to one gets a
shell, all others are shared. So threads may use one network at different omegas; and whatever keeps a
reference to a shell, such as activation checkpointing recomputing in the backward pass, finds the kernels
it began with. ``torch.func.functional_call`` swaps tensors inside the shared module and gives neither.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from tunable_models import kernels

Bound = nn.Module | Mapping[str, Any]
"""A module to use instead, or tensors by name for a shell of the module itself."""

Binder = Callable[[nn.Module, str], Bound | None]
"""Says how a module (and its path) is bound; None leaves it as it is."""


def descend(root: nn.Module, path: str) -> nn.Module:
    """The module at a path that is known to exist; a tenth of the time of ``get_submodule``."""
    for name in path.split(".") if path else ():
        root = root._modules[name]  # type: ignore[assignment]
    return root


def bind(root: nn.Module, binder: Binder) -> nn.Module:
    """The network with the tensors that ``binder`` gives; a module under several names is bound once."""
    return _bind(root, "", binder, {})


def bind_mixed(root: nn.Module, mixed: Mapping[str, Mapping[str, Tensor]]) -> nn.Module:
    """The network with mixed tensors, by module path and name."""

    def binder(_: nn.Module, path: str) -> Bound | None:
        return mixed.get(path)

    return bind(root, binder)


def _bind(module: nn.Module, path: str, binder: Binder, memo: dict[nn.Module, nn.Module]) -> nn.Module:
    if module in memo:
        return memo[module]
    bound = binder(module, path)
    children = {
        name: _bind(child, f"{path}.{name}" if path else name, binder, memo)
        for name, child in module._modules.items()
        if child is not None
    }
    moved = any(child is not module._modules[name] for name, child in children.items())
    if isinstance(bound, nn.Module):
        memo[module] = bound
    else:
        memo[module] = _shell(module, bound or {}, children) if bound is not None or moved else module
    return memo[module]


def _shell(module: nn.Module, tensors: Mapping[str, Any], children: Mapping[str, nn.Module]) -> nn.Module:
    shell: nn.Module = object.__new__(type(module))
    shell.__dict__.update(module.__dict__)
    # Plain tensors, not Parameters, stand here on purpose: they carry the gradient to the kernels.
    shell.__dict__["_parameters"] = kernels.replace(module._parameters, tensors)
    shell.__dict__["_modules"] = {**module._modules, **children}
    return shell
