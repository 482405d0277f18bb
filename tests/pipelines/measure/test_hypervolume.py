"""Against inclusion and exclusion over boxes, and dominance pair by pair: independent, exact, slow."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.core.errors import DataError
from pipelines.measure.hypervolume import hypervolume, non_dominated

EIGHTH = st.integers(0, 10).map(lambda steps: steps / 8)  # so that ties, duplicates and points beyond 1 occur


@st.composite
def fronts(draw: st.DrawFn) -> np.ndarray:
    objectives = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(EIGHTH, min_size=objectives, max_size=objectives), max_size=7))
    return np.array(rows).reshape(-1, objectives)


def volume(points: np.ndarray, reference: np.ndarray) -> float:
    """Volumes of all intersections of boxes, with alternating signs."""
    total = 0.0
    for size in range(1, len(points) + 1):
        for chosen in combinations(points, size):
            sides = (reference - np.max(chosen, axis=0)).clip(min=0)
            total -= (-1) ** size * float(np.prod(sides))
    return total


def dominates(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((one <= other).all() and (one < other).any())


@given(fronts())
def test_the_volume_is_that_of_the_boxes(points: np.ndarray) -> None:
    reference = np.ones(points.shape[1])
    assert hypervolume(points, reference) == pytest.approx(volume(points, reference), abs=1e-12)


@given(fronts())
def test_what_is_left_is_dominated_by_nothing(points: np.ndarray) -> None:
    wanted = [not any(dominates(other, point) for other in points) for point in points]
    assert non_dominated(points).tolist() == wanted


@given(fronts().filter(len))
def test_a_better_point_is_worth_more(points: np.ndarray) -> None:
    reference = np.full(points.shape[1], 2.0)
    best = points.min(axis=0, keepdims=True) - 0.25
    assert hypervolume(np.concatenate([points, best]), reference) > hypervolume(points, reference)


@pytest.mark.parametrize("objectives", [1, 2, 3, 8])
def test_no_point_covers_nothing(objectives: int) -> None:
    assert hypervolume(np.empty((0, objectives)), np.ones(objectives)) == 0
    assert non_dominated(np.empty((0, objectives))).shape == (0,)


def test_a_staircase_by_hand() -> None:
    points = np.array([[0.25, 0.75], [0.75, 0.25], [0.75, 0.75]])
    assert hypervolume(points, np.ones(2)) == 0.75 * 0.25 + 0.25 * 0.75 - 0.25 * 0.25
    assert non_dominated(points).tolist() == [True, True, False]


def test_points_beyond_the_reference_and_duplicates_add_nothing() -> None:
    points = np.array([[0.5, 0.5], [0.5, 0.5], [0.1, 1.0], [-3.0, 1.5]])
    assert hypervolume(points, np.ones(2)) == 0.25
    assert non_dominated(points).tolist() == [True, True, True, True]


def test_units_may_differ() -> None:
    assert hypervolume(np.array([[1.0, 200.0]]), np.array([3.0, 300.0])) == 200


def test_many_objectives() -> None:
    corners = np.array([corner for corner in product((0.25, 0.75), repeat=6) if sum(corner) == 3])
    reference = np.ones(6)
    # A cell of the grid that the coordinates make is covered if a corner lies below it everywhere.
    cells = [
        cell
        for cell in product((0, 1), repeat=6)
        if any((4 * c < 2 + 2 * np.array(cell)).all() for c in corners)
    ]
    wanted = sum(float(np.prod([0.25 if upper else 0.5 for upper in cell])) for cell in cells)
    assert hypervolume(corners, reference) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("points", "reference", "message"),
    [
        ([0.5, 0.5], [1, 1], r"\(N, K\).*\(2,\)"),
        (np.empty((3, 0)), [], r"\(N, K\).*\(3, 0\)"),
        ([[0.5, 0.5]], [1, 1, 1], r"each of the 2 objectives.*\(3,\)"),
        ([[0.5, np.nan]], [1, 1], "finite numbers in points, got 1 such as nan"),
        ([[0.5, 0.5]], [1, np.inf], "finite numbers in the reference, got 1 such as inf"),
    ],
)
def test_what_has_no_volume_is_refused(points: list[float], reference: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        hypervolume(np.array(points), np.array(reference))


def test_a_front_of_no_numbers_is_refused() -> None:
    with pytest.raises(DataError, match="such as nan"):
        non_dominated(np.array([[np.nan, 1.0]]))
