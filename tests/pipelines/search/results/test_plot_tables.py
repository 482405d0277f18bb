import json
from pathlib import Path

import pipelines
from pipelines.search.results.configurations import axes_of, configurations
from pipelines.search.results.labels import labels
from pipelines.search.results.plot_tables import parallel_plot, trials_plot
from pipelines.search.results.ranking import ranked
from search_trials import GAP, VOLUME, search

TEMPLATES = Path(pipelines.__file__).parents[1] / ".dvc" / "plots"


def fields(value: object) -> set[str]:
    """The columns that a template names itself."""
    if isinstance(value, dict):
        own = {value["field"]} if "field" in value else set()
        return own.union(*(fields(item) for item in value.values()))
    return set().union(*(fields(item) for item in value)) if isinstance(value, list) else set()


def test_a_row_a_completed_trial_of_what_is_ranked() -> None:
    groups = configurations(search(4))
    order = ranked(groups, [VOLUME, GAP])
    table = trials_plot(order, [VOLUME, GAP], labels(groups, axes_of(search(4))))
    assert len(table) == 8
    assert list(table["place"]) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert table["hypervolume"][:2].mean() == table["hypervolume_mean"][0]
    assert table["label"].nunique() == 4


def test_each_place_is_written_once() -> None:
    table = parallel_plot(search(6), [VOLUME])
    written = table[table["tick"] != ""]
    assert not written.duplicated(["axis", "position"]).any()
    assert set(written["tick"][written["axis"] == "basis"]) == {"delta", "multilinear"}
    assert bool(table["position"].between(0, 1).all())


def test_templates_name_columns_of_the_tables() -> None:
    parallel = fields(json.loads((TEMPLATES / "parallel.json").read_text()))
    anchors = {"<DVC_METRIC_X>", "<DVC_METRIC_Y>", "rev"}
    assert parallel - anchors == {"trial", "objective", "tick"}
    assert parallel - anchors <= set(parallel_plot(search(2), [VOLUME]).columns)
    assert fields(json.loads((TEMPLATES / "seeds.json").read_text())) == anchors
