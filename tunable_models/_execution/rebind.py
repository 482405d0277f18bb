"""Rebind a network to other tensors, without writing to it.

A clone is a shallow copy of a module that holds mixed tensors, clones of its children, and containers of its
own, so that what a forward writes on self, or puts into a cache, stays there. So threads may use one network
at different omegas; and whatever keeps a reference to a clone, such as activation checkpointing recomputing
in the backward pass, finds the kernels it began with. ``torch.func.functional_call`` swaps tensors inside the
shared module and gives neither.
"""

import copy
from collections import deque
from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any, NamedTuple

from torch import Tensor, nn

from tunable_models._execution import kernels

TORCHS_OWN = frozenset(nn.Module().__dict__)
"""Attributes of every module. Buffers among them are the network's own, whatever omega writes them."""

_CONTAINERS = (dict, list, set, deque)

Bound = nn.Module | Mapping[str, Any]
"""A module to use instead, or tensors by name for a clone of the module itself."""

Binder = Callable[[nn.Module, str], Bound | None]
"""Says how a module (and its path) is bound; None leaves it as it is."""


def find_module(root: nn.Module, path: str) -> nn.Module | None:
    """The module at a path, None where there is none; a tenth of the time of ``get_submodule``."""
    found: nn.Module | None = root
    for name in path.split(".") if path else ():
        found = None if found is None else found._modules.get(name)
    return found


def is_container(value: Any) -> bool:
    """Whether a forward may put something into it; objects of other types are shared by all clones."""
    return isinstance(value, _CONTAINERS) or (type(value) is tuple and any(map(is_container, value)))


class Rebound(NamedTuple):
    """A network bound to tensors.

    Attributes:
        network: to be called.
        of: the replacement of each of the source's modules; a shared one is its own.
    """

    network: nn.Module
    of: dict[nn.Module, nn.Module]


def rebind_network(root: nn.Module, binder: Binder, shared: Collection[str] = ()) -> Rebound:
    """The network with the tensors that ``binder`` gives; a module under several names is bound once.

    Args:
        root: the source.
        binder: says how each module is bound.
        shared: paths of modules that are not cloned, because they are referenced from elsewhere too.
    """
    bind_at = _Binding(binder, shared)
    return Rebound(bind_at(root, ""), bind_at.done)


def rebind_mixed(
    root: nn.Module, mixed: Mapping[str, Mapping[str, Tensor]], shared: Collection[str] = ()
) -> Rebound:
    """The network with mixed tensors, by module path and name."""

    def binder(_: nn.Module, path: str) -> Bound | None:
        return mixed.get(path)

    return rebind_network(root, binder, shared)


@cache
def _class_containers(kind: Any) -> tuple[tuple[str, Any], ...]:
    """Containers that a class has for all its modules; a module's own go before them."""
    found = {
        name: value
        for base in reversed(kind.__mro__)
        for name, value in vars(base).items()
        if not name.startswith("__") and not base.__module__.startswith("torch.")
    }
    return tuple((name, value) for name, value in found.items() if is_container(value))


class _Binding:
    def __init__(self, binder: Binder, shared: Collection[str]) -> None:
        self.binder, self.shared = binder, shared
        self.done: dict[nn.Module, nn.Module] = {}
        self.containers: dict[int, Any] = {}  # one that several modules have stays one

    def __call__(self, module: nn.Module, path: str) -> nn.Module:
        if module not in self.done:
            bound = self.binder(module, path)
            if isinstance(bound, nn.Module):
                self.done[module] = bound
            else:
                self.done[module] = module if path in self.shared else self._clone(module, path, bound or {})
        return self.done[module]

    def _clone(self, module: nn.Module, path: str, tensors: Mapping[str, Any]) -> nn.Module:
        kind: Any = type(module)
        clone: nn.Module = object.__new__(kind)
        attributes = clone.__dict__
        for name, value in _class_containers(kind):
            attributes[name] = self._own(value)
        attributes.update(module.__dict__)
        for name, value in module.__dict__.items():
            if name not in TORCHS_OWN and is_container(value):
                attributes[name] = self._own(value)
        # Plain tensors, not Parameters, on purpose: they carry the gradient to the kernels.
        attributes["_parameters"] = kernels.replace_kernels(module._parameters, tensors)
        attributes["_modules"] = {
            name: None if child is None else self(child, f"{path}.{name}" if path else name)
            for name, child in module._modules.items()
        }
        return clone

    def _own(self, container: Any) -> Any:
        """A copy of a container and of the containers in it, around the same objects."""
        if id(container) in self.containers:
            return self.containers[id(container)]
        if isinstance(container, tuple):
            return tuple(self._own(value) if is_container(value) else value for value in container)
        own = self.containers[id(container)] = copy.copy(container)
        if not isinstance(own, set):
            places = own.items() if isinstance(own, dict) else enumerate(own)
            for place, value in [(place, value) for place, value in places if is_container(value)]:
                own[place] = self._own(value)
        return own


class View:
    """A network at one setting: the source's forward, nothing to turn, safe to share between threads.

    For inference: the kernels are mixed once, without gradients, so take a new view after training on.

    Example:
        >>> view = make_tunable(nn.Conv2d(3, 3, 1), ControlSpace.box("denoise")).at(denoise=0.25)
        >>> view, view(torch.rand(1, 3, 4, 4)).shape
        (View(denoise=0.25), torch.Size([1, 3, 4, 4]))
    """

    def __init__(self, values: Mapping[str, float], module: nn.Module) -> None:
        self.values = values
        self._module = module

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """The source's forward."""
        return self._module(*inputs, **options)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value:g}" for name, value in self.values.items())
        return f"View({values})"
