"""State that a forward writes on self, kept separately for each omega.

A plain network keeps it from one call to the next. It may be a cache of what was computed from tensors, which
is right at one omega alone, or a state, such as the last frame of a video. So a call resumes the
state of the calls at its omega, and starts as the source at any other; views have states of their own.
"""

import threading
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from tunable_models._execution.rebind import TORCHS_OWN, Rebound, is_container
from tunable_models.errors import ConversionError

KEPT = 8
"""States are kept of so many omegas, the last ones; where gradients are recorded of one, as a module does."""

_ABSENT = object()
_Written = dict[nn.Module, dict[str, Any]]


class States:
    """The states of a network by omega; shared between threads, not part of copies and pickles."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Any, _Written] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """How to make it again, empty."""
        return type(self), ()

    def clear(self) -> None:
        """Drop all states."""
        with self._lock:
            self._kept.clear()

    def run(self, rebound: Rebound, omega: Tensor, *inputs: Any, **options: Any) -> Any:
        """Call a rebound network with the state of its omega, and keep the new state.

        Raises:
            ConversionError: a forward makes layers or parameters.
        """
        # Most networks write nothing, and omega's values are never read.
        before = self._kept.get(_omega_key(omega), {}) if self._kept else {}
        for module, attributes in before.items():
            if module in rebound.of:
                _restore_attributes(rebound.of[module], attributes)
        output = rebound.network(*inputs, **options)
        after = {module: _changed_attributes(module, clone) for module, clone in rebound.of.items()}
        after = {module: attributes for module, attributes in after.items() if attributes}
        if before or after:
            self._keep(_omega_key(omega), after)
        return output

    def _keep(self, key: Any, written: _Written) -> None:
        with self._lock:
            self._kept[key] = written
            self._kept.move_to_end(key)
            while len(self._kept) > (1 if torch.is_grad_enabled() else KEPT):
                self._kept.popitem(last=False)


def _omega_key(omega: Tensor) -> Any:
    return omega.device, omega.shape, tuple(omega.flatten().tolist())


def _restore_attributes(clone: nn.Module, attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        if value is _ABSENT:
            clone.__dict__.pop(name, None)
        else:
            clone.__dict__[name] = value


def _changed_attributes(module: nn.Module, clone: nn.Module) -> dict[str, Any]:
    """Attributes of the copy that differ from the module's, by name."""
    if type(clone) is not type(module) or clone is module:  # a proxy, or shared
        return {}
    source, own = module.__dict__, clone.__dict__
    for kind in ("_modules", "_parameters"):
        if not own[kind].keys() <= source[kind].keys():
            made = ", ".join(own[kind].keys() - source[kind].keys())
            raise ConversionError(
                f"the forward of {type(module).__name__} makes {made}; call the network once before it is "
                "made tunable, so that it is there"
            )
    found = {
        name: value
        for name, value in own.items()
        if value is not source.get(name, _ABSENT)
        and name not in TORCHS_OWN
        and not _is_same(value, source.get(name, getattr(type(module), name, _ABSENT)), set())
    }
    if not source.keys() <= own.keys():
        found |= dict.fromkeys(source.keys() - own.keys(), _ABSENT)
    return found


def _is_same(value: Any, other: Any, met: set[tuple[int, int]]) -> bool:
    """Whether they are the same object, or containers of the same objects.

    Args:
        value: anything.
        other: to compare it with.
        met: pairs on the way here and before, by their ids: one that holds itself is met again.
    """
    if value is other or (id(value), id(other)) in met:
        return True
    if not is_container(value) or type(value) is not type(other) or len(value) != len(other):
        return False
    met.add((id(value), id(other)))
    if isinstance(value, dict):
        return all(key in other and _is_same(item, other[key], met) for key, item in value.items())
    if isinstance(value, set):
        return bool(value == other)
    return all(_is_same(item, its, met) for item, its in zip(value, other, strict=True))
