from collections.abc import Iterator
from itertools import count, islice

import pytest

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.search.trainable import all_of, some_of
from pipelines.search.trial_record import Point
from pipelines.training.config import TrainConfig


def trial(point: Point) -> TrainConfig:
    """Of which nothing but the steps tells one from another."""
    if point["steps"] == 0:
        raise ConfigError("nothing to train")
    values = {"steps": point["steps"], "compute": {"runner": "local"}}
    return parse_section(values, "train", TrainConfig)


def points(*steps: int) -> Iterator[Point]:
    return ({"number": number, "steps": count} for number, count in enumerate(steps))


def taken(found: Iterator[Point]) -> list[object]:
    return [point["number"] for point in found]


def test_what_was_asked_for_is_trained_or_refused() -> None:
    assert taken(all_of(points(1, 2, 3), trial)) == [0, 1, 2]
    with pytest.raises(ConfigError, match="nothing to train"):
        list(all_of(points(1, 0), trial))
    with pytest.raises(ConfigError, match="points number 0, steps 1 and number 2, steps 1 are the same run"):
        list(all_of(points(1, 2, 1), trial))


def test_what_was_drawn_is_passed_over_with_a_sentence() -> None:
    said: list[str] = []
    assert taken(some_of(points(1, 0, 1, 2), trial, said.append)) == [0, 3]
    assert said[0] == "passed over: nothing to train"
    assert said[1].startswith("passed over: search.space: the points number 0, steps 1 and number 2, steps 1")
    assert len(said) == 2


def test_the_same_ones_are_trained_however_many_are_taken() -> None:
    def endless() -> Iterator[Point]:
        return ({"number": number, "steps": number % 3 * number} for number in count())

    def first(amount: int) -> list[Point]:
        return list(islice(some_of(endless(), trial, lambda sentence: None), amount))

    assert first(9)[:4] == first(4)


def test_fifty_in_a_row_are_the_end_and_fewer_are_not() -> None:
    assert taken(some_of(points(*[0] * 49, 1, *[0] * 49), trial, lambda sentence: None)) == [49]
    with pytest.raises(ConfigError, match=r"50 points in a row cannot be trained; .*nothing to train"):
        list(some_of(points(1, *[0] * 50), trial, lambda sentence: None))


def test_equal_runs_are_no_reason_to_give_up() -> None:
    assert taken(some_of(points(*[1] * 60, 2), trial, lambda sentence: None)) == [0, 60]


def test_a_space_in_which_nothing_can_be_trained_is_refused() -> None:
    with pytest.raises(ConfigError, match="not one of its 3 points can be trained"):
        list(some_of(points(0, 0, 0), trial, lambda sentence: None))
