import pytest

from pipelines.measure.monotonicity import count_violations, curves_along, mean_rise_db
from pipelines.measure.settings import Setting, slider_sweeps
from tunable_models import ControlSpace


def test_a_rising_curve_has_no_violation() -> None:
    counted = count_violations([[20.0, 21.0, 21.0, 25.0]], tolerance_db=0.01)
    assert (counted.violations, counted.pairs, counted.worst_drop_db) == (0, 3, 0)
    assert counted.passes


def test_a_drop_counts_from_the_tolerance_on() -> None:
    below = count_violations([[20.0, 19.991]], tolerance_db=0.01)
    assert below.violations == 0
    assert below.worst_drop_db == pytest.approx(0.009)
    above = count_violations([[20.0, 19.989]], tolerance_db=0.01)
    assert above.violations == 1


def test_curves_do_not_join() -> None:
    counted = count_violations([[20.0, 30.0], [10.0, 20.0]], tolerance_db=0.01)
    assert (counted.violations, counted.pairs) == (0, 2)


@pytest.mark.parametrize(("bad", "passes"), [(1, True), (2, False)])
def test_one_in_a_hundred_is_allowed(bad: int, passes: bool) -> None:
    counted = count_violations([[1.0, 0.0]] * bad + [[0.0, 1.0]] * (100 - bad), tolerance_db=0.01)
    assert counted.fraction == bad / 100
    assert counted.passes is passes


def test_the_range_is_the_mean_rise_from_end_to_end() -> None:
    assert mean_rise_db([[20.0, 30.0, 25.0], [10.0, 0.0, 11.0]]) == 3.0


def test_curves_are_of_one_photograph_each() -> None:
    def metric(setting: Setting) -> list[float]:
        return [sum(setting), 100 + sum(setting)]

    high, low, *_ = slider_sweeps(ControlSpace.box("denoise", "deblur"), 2)
    assert [list(curve) for curve in curves_along(high, metric)] == [[1, 2], [101, 102]]
    assert [list(curve) for curve in curves_along(low, metric)] == [[0, 1], [100, 101]]
