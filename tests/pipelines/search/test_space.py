from typing import Any

import pytest

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.search.candidates import make_grid
from pipelines.search.space import SpaceConfig
from pipelines.tasks import make_task
from pipelines.training.config import TrainConfig

BASE = parse_section(
    {
        "sampling": {"family": "dirichlet", "alpha": 0.3, "group": 2},
        "batch_size": 8,
        "compute": {"runner": "local"},
    },
    "train",
    TrainConfig,
)
DISTRIBUTIONS = [
    {"family": "uniform"},
    {"family": "dirichlet", "alpha": [0.5, 2.0]},
    {"family": "beta", "a": 0.5, "b": 1.0, "label": "low"},
    {"family": "corners", "inner": "dirichlet", "corner_weight": 0.25},
]


def space(**values: Any) -> SpaceConfig:
    return parse_section(values, "search.space", SpaceConfig)


def test_an_option_with_one_value_is_no_axis() -> None:
    axes = {axis.name: axis for axis in space(distributions=DISTRIBUTIONS).axes()}
    assert list(axes) == ["distribution", "dirichlet.alpha"]
    assert axes["distribution"].domain.values == (
        "uniform",
        "dirichlet",
        "low",
        "corners corner_weight 0.25 inner dirichlet",
    )
    assert axes["dirichlet.alpha"].applies_to({"distribution": "dirichlet"})
    assert not axes["dirichlet.alpha"].applies_to({"distribution": "uniform"})


def test_a_point_is_a_whole_training_section() -> None:
    whole = space(
        distributions=DISTRIBUTIONS,
        group=["sample", "batch", 4],
        basis=["delta", "multilinear"],
        rank=[None, 2],
        lr={"low": 0.001, "high": 0.01, "log": True},
        batch_size=[8, 16],
        patch_px=[32, 48],
    )
    point = {
        "distribution": "dirichlet",
        "dirichlet.alpha": 2.0,
        "group": "batch",
        "basis": "multilinear",
        "rank": 2,
        "lr": 0.005,
        "batch_size": 16,
        "patch_px": 32,
    }
    config = whole.train_config(point, BASE, steps=7)
    sampling = config.sampling
    assert (sampling.family, sampling.alpha, sampling.group) == ("dirichlet", 2.0, 16)
    assert (config.network.basis, config.network.rank, config.optimizer.lr) == ("multilinear", 2, 0.005)
    assert (config.batch_size, config.patch_px, config.steps) == (16, 32, 7)


def test_every_point_of_a_grid_of_distributions_can_be_trained() -> None:
    whole = space(distributions=DISTRIBUTIONS, group=["sample", 8])
    configs = [whole.train_config(point, BASE) for point in make_grid(list(whole.axes()))]
    assert len(configs) == 10
    assert {config.sampling.group for config in configs} == {1, 8}
    assert {config.sampling.corner_weight for config in configs if config.sampling.family == "corners"} == {
        0.25
    }


def test_a_group_alone_keeps_the_distribution() -> None:
    config = space(group=[1, 4]).train_config({"group": 4}, BASE)
    assert (config.sampling.family, config.sampling.alpha, config.sampling.group) == ("dirichlet", 0.3, 4)


def test_loss_scales_are_options_of_the_task() -> None:
    base = parse_section(
        {"task": {"name": "three-objectives"}, "network": {"basis": "linear"}}, "train", TrainConfig
    )
    weights = space(loss_scales={"smoothness_scale": [0.01, 0.1]})
    point = {"scale.smoothness_scale": 0.1}
    assert weights.train_config(point, base).task.smoothness_scale == 0.1  # type: ignore[union-attr]
    assert weights.changes(point, base) == {"task.smoothness_scale": 0.1}
    with pytest.raises(ConfigError, match=r"train\.task\.smoothness_scale"):
        weights.train_config(point, BASE)


def test_a_mean_of_several_controls_is_a_vector() -> None:
    one = {"family": "truncated-normal", "mean": [[0.2, 0.9]]}
    two = {"family": "truncated-normal", "mean": [[0.2, 0.9], [0.9, 0.2]], "std": 0.1, "label": "off centre"}
    whole = space(distributions=[one, two])
    points = make_grid(list(whole.axes()))
    assert points == [
        {"distribution": "truncated-normal mean [0.2, 0.9]"},
        {"distribution": "off centre", "off centre.mean": "[0.2, 0.9]"},
        {"distribution": "off centre", "off centre.mean": "[0.9, 0.2]"},
    ]
    means = [whole.train_config(point, BASE).sampling.mean for point in points]
    assert means == [(0.2, 0.9), (0.2, 0.9), (0.9, 0.2)]


def test_a_flat_list_of_means_is_a_choice_of_numbers() -> None:
    whole = space(distributions=[{"family": "truncated-normal", "mean": [0.2, 0.9]}])
    configs = [whole.train_config(point, BASE) for point in make_grid(list(whole.axes()))]
    assert [config.sampling.mean for config in configs] == [0.2, 0.9]


@pytest.mark.parametrize(
    ("mean", "got"),
    [
        (0.5, r"got \[0\.5\]"),
        ([0.2, 0.3, 0.5], r"got \[0\.2, 0\.3, 0\.5\]"),
        ({"low": 0.1, "high": 0.2}, r"got the range from 0\.1 to 0\.2"),
    ],
)
def test_on_a_simplex_a_mean_is_a_vector(mean: Any, got: str) -> None:
    base = parse_section(
        {"task": {"name": "three-objectives"}, "network": {"basis": "linear"}}, "train", TrainConfig
    )
    controls = make_task(base.task).space
    wrong = space(distributions=[{"family": "truncated-normal", "mean": mean}])
    with pytest.raises(ConfigError, match=rf"mean: \[\[0\.33, 0\.33, 0\.33\]\]; {got}"):
        wrong.check_controls(controls)
    right = space(distributions=[{"family": "truncated-normal", "mean": [[0.2, 0.3, 0.5]]}])
    right.check_controls(controls)
    [point] = make_grid(list(right.axes()))
    assert right.train_config(point, base).sampling.mean == (0.2, 0.3, 0.5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "at least one axis"),
        ({"distributions": [{"family": "uniform", "alpha": 0.5}]}, "uniform .*alpha"),
        ({"distributions": [{"family": "fixed"}]}, "family fixed"),
        ({"distributions": [{"family": "unifrom"}]}, "'uniform'"),
        ({"distributions": [{"family": "uniform"}, {"family": "uniform"}]}, "'uniform'.*label"),
        ({"loss_scales": {"noise_sigma": [1.0, 2.0]}}, "ends in _scale"),
        ({"learning_rate": [0.1]}, "'search.space.learning_rate'"),
    ],
)
def test_invalid_spaces_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        space(**values)


def test_an_invalid_combination_names_the_point() -> None:
    with pytest.raises(ConfigError, match=r"group 16: .*sampling\.group"):
        space(group=[16]).train_config({"group": 16}, BASE)
