import pytest

from pipelines.search.results.configurations import group_trials, list_axes
from pipelines.search.results.front_figure import LISTED, SHOWN, draw_front
from pipelines.search.results.plot_tables import label_configurations
from pipelines.search.trial import Objective, TrialRecord
from search_trials import GAP, VOLUME, search, trial


def panels(records: list[TrialRecord], *objectives: Objective, vertices: tuple[str, ...] = ()) -> list[str]:
    groups = group_trials(records)
    figure = draw_front(groups, objectives, label_configurations(groups, list_axes(records)), vertices)
    figure.canvas.draw()  # lays out, and warns of what does not fit
    return [f"{axis.get_xlabel()} | {axis.get_ylabel()}" for axis in figure.axes]


@pytest.mark.parametrize(("vertices", "pairs"), [(2, 1), (3, 3), (4, 6)])
def test_a_panel_for_each_pair_of_the_task_s_objectives(vertices: int, pairs: int) -> None:
    found = panels(search(4, vertices=vertices), VOLUME, GAP)
    assert len(found) == 1 + pairs
    assert found[0] == "hypervolume (larger is better) | specialist_gap_mean, dB (smaller is better)"
    assert found[1] == "normalized loss, objective 1 | normalized loss, objective 2"


def test_names_of_the_objectives_are_shown() -> None:
    found = panels(search(4, vertices=2), VOLUME, vertices=("denoise", "deblur"))
    assert found[1] == "normalized loss, denoise | normalized loss, deblur"


def test_one_objective_lists_the_best_configurations() -> None:
    records = search(LISTED + 5, seeds=2, vertices=2)
    groups = group_trials(records)
    words = label_configurations(groups, list_axes(records))
    axis = draw_front(groups, [VOLUME], words).axes[0]
    assert len(axis.get_yticklabels()) == LISTED
    top = max((c for c in groups if c.complete), key=lambda c: c.mean("hypervolume") or 0.0)
    assert axis.get_yticklabels()[0].get_text() == words[top.number]
    assert sorted(axis.lines[0].get_xdata()) == sorted(top.values("hypervolume"))


def test_a_task_without_losses_to_its_ends_has_one_panel() -> None:
    records = [trial(n, {"lr": float(n)}, {VOLUME.name: n, GAP.name: n}) for n in range(SHOWN + 3)]
    assert len(panels(records, VOLUME, GAP)) == 1
    assert len(panels(records[:1], VOLUME)) == 1


def test_the_line_of_the_front_joins_undominated_configurations() -> None:
    pairs = [(0.7, 0.3), (0.6, 0.4), (0.6, 0.2), (0.5, 0.1)]
    records = [trial(n, {"lr": float(n)}, {VOLUME.name: v, GAP.name: g}) for n, (v, g) in enumerate(pairs)]
    groups = group_trials(records)
    axis = draw_front(groups, [VOLUME, GAP], label_configurations(groups, ("lr",))).axes[0]
    (line,) = [line for line in axis.lines if line.get_label() == "front"]
    assert list(line.get_xdata()) == [0.5, 0.6, 0.7]
    assert list(line.get_ydata()) == [0.1, 0.2, 0.3]
