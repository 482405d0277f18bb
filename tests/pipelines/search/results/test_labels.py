from pipelines.search.results.configurations import axes_of, configurations
from pipelines.search.results.labels import labels, objective_label
from pipelines.search.trial_record import Point, TrialRecord
from search_trials import GAP, VOLUME, trial


def labelled(*points: Point) -> list[str]:
    records: list[TrialRecord] = [trial(number, point) for number, point in enumerate(points)]
    return list(labels(configurations(records), axes_of(records)).values())


def test_a_label_names_what_varies() -> None:
    assert labelled(
        {"distribution": "dirichlet", "dirichlet.alpha": 0.12345, "rank": None, "lr": 0.1},
        {"distribution": "dirichlet", "dirichlet.alpha": 0.5, "rank": 4, "lr": 0.1},
        {"distribution": "uniform", "rank": 4, "lr": 0.1},
    ) == ["#0 dirichlet(alpha=0.123), rank=none", "#1 dirichlet(alpha=0.5), rank=4", "#2 uniform, rank=4"]


def test_one_axis_needs_no_name() -> None:
    assert labelled({"distribution": "uniform"}, {"distribution": "sobol"}) == ["#0 uniform", "#1 sobol"]
    assert labelled({"distribution": "uniform"}) == ["#0"]


def test_objectives_have_units_and_directions() -> None:
    assert objective_label(VOLUME) == "hypervolume (larger is better)"
    assert objective_label(GAP) == "specialist_gap_mean, dB (smaller is better)"
