"""Find references to modules and tensors that torch does not register.

torch sees the modules and tensors that are registered. A list, a closure, a bound method or any object may
hold one of them once more, and would keep using it after the network has been given others.
"""

import functools
from collections import deque
from collections.abc import Iterator
from types import (
    BuiltinMethodType,
    CellType,
    FunctionType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    NoneType,
)
from typing import Any
from weakref import ReferenceType

from torch import Tensor, fx, nn

DEPTH = 4
"""Steps from an attribute: of a dictionary of hooks to a partial, its function, a closure and its layer."""

# A torch.fx graph refers to its module only to regenerate code, never in a call.
_CLOSED = (Tensor, nn.Module, type, ModuleType, fx.Graph, str, bytes, int, float, complex, NoneType)
# Not whatever can be iterated: that might read a data set.
_SEQUENCES = (list, tuple, set, frozenset, deque)
_METHODS = (MethodType, BuiltinMethodType, MethodWrapperType)


def walk_references(value: Any, depth: int = DEPTH) -> Iterator[Any]:
    """The value and all that it leads to within some steps, nearest first, each once.

    Tensors, modules, types and Python modules are reached, but what they hold is not.
    """
    seen: dict[int, Any] = {}  # the objects too: the number of one that is gone may be another's
    level = [value]
    for _ in range(depth + 1):
        new = {id(item): item for item in level if id(item) not in seen}
        yield from new.values()
        seen.update(new)
        level = [part for item in new.values() for part in _direct_references(item)]


def _direct_references(value: Any) -> Iterator[Any]:
    if isinstance(value, _CLOSED):
        return
    if isinstance(value, dict):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, _SEQUENCES):
        yield from value
    elif isinstance(value, ReferenceType):
        yield value()
    else:
        yield from _callable_references(value)
    yield from _attribute_values(value)


def _callable_references(value: Any) -> Iterator[Any]:
    """Functions and arguments that a call of the value would use."""
    if isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, _METHODS):
        yield from (value.__self__, getattr(value, "__func__", None))
    elif isinstance(value, FunctionType):
        yield from (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())
        for cell in value.__closure__ or ():
            yield from _cell_contents(cell)


def _cell_contents(cell: CellType) -> Iterator[Any]:
    try:
        yield cell.cell_contents
    except ValueError:  # a name that has no value yet
        return


def _attribute_values(value: Any) -> Iterator[Any]:
    yield from getattr(value, "__dict__", {}).values()
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            yield getattr(value, name, None)
