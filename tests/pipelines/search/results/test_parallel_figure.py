import pytest

from pipelines.search.results.parallel_figure import draw_parallel
from pipelines.search.trial_record import Objective
from search_trials import GAP, VOLUME, search, trial


@pytest.mark.parametrize("objective", [VOLUME, GAP])
def test_a_line_a_trial_and_the_best_is_the_thick_one(objective: Objective) -> None:
    figure = draw_parallel(search(5), [objective])
    figure.canvas.draw()
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) > 2]
    assert len(lines) == 10
    thick = max(lines, key=lambda line: line.get_linewidth())
    assert thick is lines[-1]
    ends = [line.get_ydata()[-1] for line in lines]
    assert thick.get_ydata()[-1] == (max(ends) if objective.mode == "max" else min(ends))


def test_trials_on_one_value_are_drawn_apart() -> None:
    records = [trial(n, {"basis": ("delta", "affine")[n % 2]}, n / 10) for n in range(8)]
    axis = draw_parallel(records, [VOLUME]).axes[0]
    heights = [line.get_ydata()[0] for line in axis.lines[:8]]
    assert len(set(heights)) == 8


def test_a_single_trial_is_drawn() -> None:
    draw_parallel([trial(0, {"lr": 0.1})], [VOLUME]).canvas.draw()
