from typing import Any

import pytest

from tunable_models import ArchitectureError
from tunable_models.architectures import options


@pytest.mark.parametrize("value", [0, 9, 1.0, True, "1", None, [1]])
def test_what_is_no_integer_in_range_is_refused(value: Any) -> None:
    with pytest.raises(ArchitectureError, match="net: size must be an integer from 1 to 8, got"):
        options.check_integer("net", "size", value, 1, 8)


def test_lists_from_files_become_tuples() -> None:
    assert options.check_integers("net", "sizes", [1, 2], 1, 8, 3) == (1, 2)
    assert options.check_integers("net", "sizes", (3,), 1, 8, 3) == (3,)


@pytest.mark.parametrize("value", [[], [1, 2, 3, 4], 1, "123", None, {1: 1}])
def test_what_is_no_list_of_that_length_is_refused(value: Any) -> None:
    with pytest.raises(ArchitectureError, match="sizes must be a list of 1 to 3 integers"):
        options.check_integers("net", "sizes", value, 1, 8, 3)


def test_a_list_may_have_a_least_length() -> None:
    assert options.check_integers("net", "sizes", [1, 2], 1, 8, 3, shortest=2) == (1, 2)
    with pytest.raises(ArchitectureError, match="sizes must be a list of 2 to 3 integers, got 1 of them"):
        options.check_integers("net", "sizes", [1], 1, 8, 3, shortest=2)


@pytest.mark.parametrize("value", [0, 1, "true", None, [True]])
def test_what_is_neither_true_nor_false_is_refused(value: Any) -> None:
    assert options.check_flag("net", "bias", False) is False
    with pytest.raises(ArchitectureError, match="net: bias must be true or false, got"):
        options.check_flag("net", "bias", value)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf"), "1", True, None])
def test_what_is_no_number_in_range_is_refused(value: Any) -> None:
    with pytest.raises(ArchitectureError, match="net: factor must be a number from 0 to 1, got"):
        options.check_number("net", "factor", value, 0, 1)


def test_a_choice_lists_what_is_valid() -> None:
    with pytest.raises(ArchitectureError, match="kind must be one of 'a', 'b', got 'c'"):
        options.check_choice("net", "kind", "c", ["a", "b"])


def test_channels_may_not_double_without_end() -> None:
    options.check_depth("net", 64, 6)
    with pytest.raises(ArchitectureError, match="makes 4160 channels; the limit is 4096, take at most 64"):
        options.check_depth("net", 65, 6)
