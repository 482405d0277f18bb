import pytest
import torch

from pipelines.measure.settings import (
    default_setting,
    equal_positions,
    face_centers,
    grid_settings,
    native_values,
    setting_name,
    slider_sweeps,
    vertex_name,
    vertices_and_default,
)
from tunable_models import Control, ControlSpace

SPACE = ControlSpace.box("denoise", "deblur")
SHARED = ControlSpace.simplex(
    Control(name="a", default=0.5), Control(name="b", default=0.3), Control(name="c", default=0.2)
)
LEVEL = ControlSpace.box(Control(name="noise", high=50.0, default=25.0, kind="condition"))


def test_positions_hit_both_ends_exactly() -> None:
    assert equal_positions(5) == (0, 0.25, 0.5, 0.75, 1)
    assert equal_positions(11)[::5] == (0, 0.5, 1)


def test_a_sweep_of_a_box_moves_one_slider_and_holds_the_others() -> None:
    high, low, second, _ = slider_sweeps(SPACE, 3)
    assert (high.name, high.settings) == ("denoise", ((0, 1), (0.5, 1), (1, 1)))
    assert low.settings == ((0, 0), (0.5, 0), (1, 0))
    assert (high.label, low.label) == ("denoise_others_high", "denoise_others_low")
    assert (second.name, second.settings) == ("deblur", ((1, 0), (1, 0.5), (1, 1)))


def test_a_slider_alone_has_one_sweep() -> None:
    [sweep] = slider_sweeps(LEVEL, 3)
    assert (sweep.label, sweep.settings) == ("noise", ((0,), (0.5,), (1,)))


def test_the_others_of_a_simplex_share_what_is_left_in_proportion_to_their_defaults() -> None:
    first, second, third = slider_sweeps(SHARED, 3)
    assert first.settings == ((0, 0.6, 0.4), (0.5, 0.3, 0.2), (1, 0, 0))
    assert third.settings[0] == (0.625, 0.375, 0)
    assert (second.label, third.label) == ("b", "c")
    for sweep in (first, second, third):
        for value, setting in zip(sweep.values, sweep.settings, strict=True):
            wanted = SHARED.values(SHARED.omega({sweep.name: value}))
            assert native_values(SHARED, setting) == pytest.approx(wanted, abs=1e-6)


def test_others_whose_defaults_are_zero_share_evenly() -> None:
    space = ControlSpace.simplex(
        Control(name="a", default=1.0), *(Control(name=n, default=0.0) for n in "bc")
    )
    assert slider_sweeps(space, 2)[0].settings == ((0, 0.5, 0.5), (1, 0, 0))
    assert default_setting(space) == (1, 0, 0)


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_the_grid_of_a_box_holds_every_corner(names: list[str]) -> None:
    space = ControlSpace.box(*names)
    settings = grid_settings(space, 4)
    assert len(set(settings)) == 4 ** len(names)
    assert set(space.vertices) <= set(settings)


@pytest.mark.parametrize(("count", "size"), [(2, 3), (5, 15), (11, 66)])
def test_the_grid_of_a_simplex_is_a_lattice(count: int, size: int) -> None:
    settings = grid_settings(SHARED, count)
    assert len(set(settings)) == size
    assert set(SHARED.vertices) <= set(settings)
    assert all(sum(setting) == pytest.approx(1, abs=1e-8) for setting in settings)


def test_sweeps_and_grid_of_two_that_share_meet() -> None:
    space = ControlSpace.simplex("a", "b")
    along = {setting for sweep in slider_sweeps(space, 11) for setting in sweep.settings}
    assert along == set(grid_settings(space, 11))


def test_the_default_is_what_a_person_gets_who_sets_nothing() -> None:
    for space in (SPACE, SHARED, LEVEL):
        assert native_values(space, default_setting(space)) == pytest.approx(space.defaults, abs=1e-6)


def test_face_centers_are_ends_middles_and_the_middle_of_all() -> None:
    third = round(1 / 3, 9)
    assert face_centers(SHARED) == [
        *((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        *((0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)),
        (third, third, third),
    ]


def test_vertices_have_names() -> None:
    names = [vertex_name(SPACE, vertex) for vertex in SPACE.vertices]
    assert names == ["none", "denoise", "deblur", "denoise_and_deblur"]
    assert [vertex_name(SHARED, vertex) for vertex in SHARED.vertices] == ["a", "b", "c"]


def test_native_values_are_in_the_controls_units() -> None:
    assert native_values(LEVEL, (0.5,)) == {"noise": 25}


def test_validation_looks_at_the_ends_of_the_sliders_and_their_defaults() -> None:
    assert vertices_and_default(SPACE).tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]
    simplex = ControlSpace.simplex("a", "b")
    assert vertices_and_default(simplex).tolist() == [[1, 0], [0, 1], [0.5, 0.5]]
    assert setting_name(simplex, torch.tensor([0.25, 0.75])) == "a 0.25 b 0.75"
