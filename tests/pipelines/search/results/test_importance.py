import numpy as np
import pytest

from pipelines.search.axes import Point
from pipelines.search.results.importance import encode_points, importance_frame, measure_importance
from pipelines.search.trial import TrialRecord
from search_trials import VOLUME, trial

FAMILIES = ("uniform", "dirichlet", "sobol")


def made(effects: dict[str, float], count: int = 40, noise: float = 0.01) -> list[TrialRecord]:
    """Trials whose value is a sum over the axes, each term uniform and of the variance given."""
    random = np.random.default_rng(1)
    records = []
    for number in range(count):
        point = {axis: float(random.uniform()) for axis in effects}
        terms = (variance**0.5 * 12**0.5 * (point[axis] - 0.5) for axis, variance in effects.items())
        records.append(trial(number, point, float(sum(terms) + noise * random.normal())))
    return records


@pytest.mark.slow
def test_a_forest_finds_what_matters_and_says_that_it_can_predict() -> None:
    found = measure_importance(made({"lr": 0.8, "alpha": 0.2, "idle": 0.0}, 60), VOLUME)
    assert found.method == "forest"
    assert found.shares["lr"] > 0.4 > found.shares["alpha"] > 0.05 > abs(found.shares["idle"])
    assert found.explained is not None
    assert found.explained > 0.6
    assert not found.note
    assert list(importance_frame(found)["axis"]) == ["lr", "alpha", "idle"]


def test_noise_is_called_noise() -> None:
    found = measure_importance(made({"lr": 0.0, "alpha": 0.0}, noise=1.0), VOLUME)
    assert found.explained is not None
    assert found.explained <= 0
    assert "mean nothing" in found.note


@pytest.mark.slow
def test_the_same_trials_give_the_same_numbers() -> None:
    records = made({"lr": 0.8, "alpha": 0.2}, 12)
    assert measure_importance(records, VOLUME) == measure_importance(records[::-1], VOLUME)


@pytest.mark.slow
def test_an_option_is_judged_where_it_applies() -> None:
    random = np.random.default_rng(0)
    records = []
    for number in range(60):
        family = FAMILIES[number % 3]
        alpha = float(random.uniform())
        point = {"distribution": family} | ({"dirichlet.alpha": alpha} if family == "dirichlet" else {})
        value = {"uniform": 0.0, "dirichlet": 2 * alpha, "sobol": 1.0}[family]
        records.append(trial(number, {**point, "idle": float(random.uniform())}, value))
    shares = measure_importance(records, VOLUME).shares
    assert shares["distribution"] > shares["dirichlet.alpha"] > 0.2
    assert abs(shares["idle"]) < 0.05


def test_seeds_do_not_teach_the_forest_their_own_configuration() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=12)
    points = [{"lr": float(n), "alpha": float(random.uniform())} for n in random.permutation(12)]
    records = [trial(3 * n + s, points[n], float(values[n]), seed=s) for n in range(12) for s in range(3)]
    found = measure_importance(records, VOLUME)
    assert found.explained is not None
    assert found.explained < 0.3
    assert (found.configurations, found.trials) == (12, 36)


def test_one_axis_is_judged_by_its_seeds() -> None:
    values = {"uniform": (1.0, 3.0), "dirichlet": (5.0, 7.0), "sobol": (3.0, 5.0)}
    records = [
        trial(2 * n + seed, {"distribution": name, "lr": 0.1}, values[name][seed], seed=seed)
        for n, name in enumerate(FAMILIES)
        for seed in range(2)
    ]
    found = measure_importance(records, VOLUME)
    # Means 2, 6, 4 about 4: between 2 * (4 + 4 + 0) = 16; within 6 * 1 = 6.
    assert found.method == "eta2"
    assert found.shares == {"distribution": pytest.approx(16 / 22)}
    assert found.chance == pytest.approx(2 / 5)
    assert not found.note
    noisy = [trial(n, {"lr": float(n // 2)}, float(n % 2), seed=n % 2) for n in range(6)]
    assert "chance" in measure_importance(noisy, VOLUME).note


def test_nothing_is_said_of_too_little() -> None:
    few = measure_importance(made({"lr": 1.0, "alpha": 1.0}, 3), VOLUME)
    assert (few.method, few.shares, few.explained) == ("none", {}, None)
    assert few.note.startswith("3 configurations completed")
    frame = importance_frame(few)
    assert list(frame["axis"]) == ["lr", "alpha"]
    assert frame["importance"].isna().all()
    constant = measure_importance([trial(n, {"lr": float(n)}, 0.5) for n in range(6)], VOLUME)
    assert "same value" in constant.note
    lonely = measure_importance([trial(0, {"lr": 0.1})], VOLUME)
    assert "no axis varies" in importance_frame(lonely)["note"].item()


def test_columns_of_numbers_and_of_values() -> None:
    points: list[Point] = [
        {"distribution": "uniform", "group": 1, "scale.keep_scale": 2.0},
        {"distribution": "dirichlet", "dirichlet.alpha": 0.1, "group": "batch", "scale.keep_scale": 2.0},
        {"distribution": "dirichlet", "dirichlet.alpha": 0.5, "group": 1, "scale.keep_scale": 2.0},
    ]
    found = encode_points(points, ("distribution", "dirichlet.alpha", "group", "scale.keep_scale"))
    expected = [
        [1, 0, np.nan, 1, 0, 2],
        [0, 1, 0.1, 0, 1, 2],
        [0, 1, 0.5, 1, 0, 2],
    ]
    np.testing.assert_array_equal(found.matrix, expected)
    assert found.columns == {"distribution": [0, 1, 2], "dirichlet.alpha": [2], "group": [3, 4]}
    assert found.rows == {"distribution": [0, 1, 2], "dirichlet.alpha": [1, 2], "group": [0, 1, 2]}
