import functools
import operator
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import fx, nn

from tunable_models._conversion.hidden_refs import walk_references


class Thing:
    """Hashable, with a method."""

    def own(self) -> None: ...


@dataclass(slots=True)
class Slotted:
    kept: Any


class Attributed(list[int]):
    def __init__(self, kept: Any) -> None:
        self.kept = kept


class Single:
    __slots__ = "kept"

    def __init__(self, kept: Any) -> None:
        self.kept = kept


def _with_default(thing: Any) -> Callable[[], Any]:
    def function(x: Any = thing) -> Any:
        return x

    return function


def _with_keyword_default(thing: Any) -> Callable[[], Any]:
    def function(*, x: Any = thing) -> Any:
        return x

    return function


def _with_attribute(thing: Any) -> Callable[[], Any]:
    def function() -> None: ...

    function.__dict__["kept"] = thing
    return function


WAYS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda thing: thing,
    "list": lambda thing: [1, thing],
    "tuple": lambda thing: (thing,),
    "set": lambda thing: {thing},
    "frozenset": lambda thing: frozenset([thing]),
    "deque": lambda thing: deque([thing]),
    "value": lambda thing: {"a": thing},
    "key": lambda thing: {thing: 1},
    "list with attributes": lambda thing: Attributed(thing),
    "closure": lambda thing: lambda: thing,
    "default": _with_default,
    "keyword default": _with_keyword_default,
    "attribute of a function": _with_attribute,
    "wrapped": lambda thing: functools.lru_cache(lambda: thing),
    "partial's function": lambda thing: functools.partial(lambda: thing),
    "partial's input": lambda thing: functools.partial(operator.is_, thing),
    "partial's option": lambda thing: functools.partial(dict, a=thing),
    "bound method": lambda thing: thing.own,
    "bound method of C": lambda thing: [thing].append,
    "bound closure": lambda thing: (lambda self: thing).__get__(Thing()),
    "slot wrapper": lambda thing: thing.__str__,
    "object": lambda thing: SimpleNamespace(a=thing),
    "slots": Slotted,
    "one slot": Single,
    "weak reference": weakref.ref,
    "four steps": lambda thing: OrderedDict(hook=functools.partial(lambda: thing)),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_a_value_leads_to(way: str) -> None:
    thing = Thing()
    assert any(item is thing for item in walk_references(WAYS[way](thing)))


@pytest.mark.parametrize(
    "closed",
    [
        lambda thing: [[[[[thing]]]]],
        lambda thing: nn.Linear(1, 1).__class__,
        lambda thing: type("Kind", (), {"kept": thing}),
        lambda thing: functools,
    ],
)
def test_where_it_ends(closed: Callable[[Any], Any]) -> None:
    thing = Thing()
    assert not any(item is thing for item in walk_references(closed(thing)))


def test_what_tensors_and_modules_hold_is_theirs() -> None:
    thing = Thing()
    module, tensor, graph = nn.Linear(1, 1), torch.zeros(1), fx.symbolic_trace(nn.Linear(1, 1)).graph
    for holder in (module, tensor, graph):
        holder.__dict__["kept"] = thing
        found = list(walk_references([holder]))
        assert any(item is holder for item in found)
        assert not any(item is thing for item in found)


def test_circles_end_and_each_is_reached_once() -> None:
    circle: list[Any] = ["a"]
    circle += [circle, {"self": circle}]
    assert sum(item is circle for item in walk_references(circle)) == 1


def test_the_nearest_way_counts() -> None:
    thing = Thing()
    between = [[thing]]  # four steps one way, where the walk would end before the thing, one the other
    assert any(item is thing for item in walk_references([[[[between]]], between]))


def test_an_empty_closure_leads_nowhere() -> None:
    def function() -> Any:
        return later

    assert list(walk_references(function)) == [function]
    later = 1
    assert list(walk_references(function)) == [function, 1]


def test_nothing_is_iterated_that_might_read_a_data_set() -> None:
    class Data:
        def __len__(self) -> int:
            raise AssertionError

        def __iter__(self) -> Any:
            raise AssertionError

    assert len(list(walk_references(Data()))) >= 1
