import numpy as np

from pipelines.search.results.features import features, parent_of, varying_axes
from pipelines.search.trial_record import Point

AXES = ("distribution", "dirichlet.alpha", "group", "scale.keep_scale")
POINTS: list[Point] = [
    {"distribution": "uniform", "group": 1, "scale.keep_scale": 2.0},
    {"distribution": "dirichlet", "dirichlet.alpha": 0.1, "group": "batch", "scale.keep_scale": 2.0},
    {"distribution": "dirichlet", "dirichlet.alpha": 0.5, "group": 1, "scale.keep_scale": 2.0},
]


def test_an_option_belongs_to_the_axis_that_has_its_family() -> None:
    assert parent_of("dirichlet.alpha", POINTS, AXES) == "distribution"
    assert parent_of("scale.keep_scale", POINTS, AXES) is None
    assert parent_of("group", POINTS, AXES) is None


def test_a_constant_does_not_vary_nor_an_option_that_is_constant_where_it_applies() -> None:
    assert varying_axes(POINTS, AXES) == ("distribution", "dirichlet.alpha", "group")
    assert varying_axes(POINTS[:2], AXES) == ("distribution", "group")
    assert varying_axes([{"lr": 0.1}, {}], ("lr",)) == ("lr",)


def test_columns_of_numbers_and_of_values() -> None:
    found = features(POINTS, AXES)
    expected = [
        [1, 0, np.nan, 1, 0, 2],
        [0, 1, 0.1, 0, 1, 2],
        [0, 1, 0.5, 1, 0, 2],
    ]
    np.testing.assert_array_equal(found.matrix, expected)
    assert found.columns == {"distribution": [0, 1, 2], "dirichlet.alpha": [2], "group": [3, 4]}
    assert found.rows == {"distribution": [0, 1, 2], "dirichlet.alpha": [1, 2], "group": [0, 1, 2]}
