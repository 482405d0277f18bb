import pytest

from pipelines.evaluate.settings import corner_name, grid, positions, sweeps
from tunable_models import ControlSpace

SPACE = ControlSpace.box("denoise", "deblur")


def test_positions_hit_both_ends_exactly() -> None:
    assert positions(5) == (0, 0.25, 0.5, 0.75, 1)
    assert positions(11)[::5] == (0, 0.5, 1)


def test_a_sweep_moves_one_slider_and_holds_the_others() -> None:
    high, low, second, _ = sweeps(SPACE, 3)
    assert (high.name, high.settings) == ("denoise", [(0, 1), (0.5, 1), (1, 1)])
    assert low.settings == [(0, 0), (0.5, 0), (1, 0)]
    assert (high.label, low.label) == ("denoise_others_high", "denoise_others_low")
    assert (second.name, second.settings) == ("deblur", [(1, 0), (1, 0.5), (1, 1)])


def test_a_sweep_aims_at_the_corner_where_it_ends() -> None:
    ends = [SPACE.vertices[sweep.vertex] for sweep in sweeps(SPACE, 3)]
    assert ends == [(1, 1), (1, 0), (1, 1), (0, 1)]


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_the_grid_holds_every_corner(names: list[str]) -> None:
    space = ControlSpace.box(*names)
    settings = grid(space, 4)
    assert len(set(settings)) == 4 ** len(names)
    assert set(space.vertices) <= set(settings)


def test_corners_have_names() -> None:
    names = [corner_name(SPACE, vertex) for vertex in SPACE.vertices]
    assert names == ["none", "denoise", "deblur", "denoise_and_deblur"]
