import math
from typing import Any

import pytest

from pipelines.core.config import Section, parse_section
from pipelines.core.errors import ConfigError
from pipelines.search.axes import Bases, Floats, FloatsOrVectors, Groups, Ints, Ranks


class Space(Section):
    lr: Floats | None = None
    patch: Ints | None = None
    group: Groups | None = None
    rank: Ranks | None = None
    basis: Bases | None = None
    mean: FloatsOrVectors | None = None


@pytest.mark.parametrize(
    ("name", "given", "values"),
    [
        ("lr", 0.5, (0.5,)),
        ("lr", [1, 0.5], (1.0, 0.5)),
        ("patch", [32, 48], (32, 48)),
        ("group", ["sample", 4, "batch"], ("sample", 4, "batch")),
        ("rank", [None, 2], (None, 2)),
        ("basis", ["delta", "affine"], ("delta", "affine")),
        ("mean", [0.2, 0.9], (0.2, 0.9)),
        ("mean", [[0.2, 1]], ((0.2, 1.0),)),
        ("mean", [[0.2, 0.9], [0.9, 0.2]], ((0.2, 0.9), (0.9, 0.2))),
    ],
)
def test_a_value_or_a_list_is_a_choice(name: str, given: Any, values: tuple[Any, ...]) -> None:
    assert getattr(parse_section({name: given}, "space", Space), name).values == values


def test_two_ends_are_a_range() -> None:
    lr = parse_section({"lr": {"low": 0.001, "high": 1, "log": True}}, "space", Space).lr
    assert lr is not None
    assert (lr.values, lr.low, lr.high, lr.log) == ((), 0.001, 1.0, True)


@pytest.mark.parametrize(
    ("name", "given", "size"),
    [
        ("lr", [0.1, 0.2, 0.3], 3),
        ("lr", {"low": 0.001, "high": 1}, math.inf),
        ("patch", {"low": 8, "high": 11}, 4),
        ("patch", {"low": 1, "high": 64, "log": True}, 64),
        ("group", ["sample", 4], 2),
        ("mean", {"low": 0.1, "high": 0.2}, math.inf),
        ("mean", [[0.2, 0.9], [0.9, 0.2]], 2),
    ],
)
def test_values_are_counted(name: str, given: Any, size: float) -> None:
    assert getattr(parse_section({name: given}, "space", Space), name).size == size


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": {"low": 0, "high": 1, "log": True}}, "logarithmic range"),
        ({"lr": {"low": 2, "high": 1}}, "low less than high"),
        ({"lr": {"low": 1}}, "expected a value, a list"),
        ({"lr": {"values": [1.0], "low": 0, "high": 1}}, "expected a value, a list"),
        ({"lr": []}, "expected a value, a list"),
        ({"group": []}, "empty list"),
        ({"lr": [0.1, 0.1]}, "duplicate value"),
        ({"lr": {"lov": 1, "high": 2}}, "'space.lr.lov'.*'low'"),
        ({"lr": ["1e-3"]}, "valid number"),
        ({"patch": [1.5]}, "valid integer"),
        ({"lr": {"values": [0.1, 0.2], "log": True}}, "log applies to a range"),
        ({"lr": float("nan")}, "finite"),
        ({"mean": "half"}, "valid number"),
        ({"mean": [0.5, [0.2, 0.9]]}, "mean.values.0: .*got 0.5"),
        ({"mean": [[0.2, "0.9"]]}, "mean.values.0.1: .*valid number"),
    ],
)
def test_invalid_domains_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_section(given, "space", Space)
