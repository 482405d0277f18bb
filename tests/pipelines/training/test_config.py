from typing import Any, get_args

import pytest
import torch

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.training.config import OPTIONS, Family, SamplingConfig, TrainConfig
from tunable_models import (
    Beta,
    ControlSpace,
    Corners,
    Dirichlet,
    Fixed,
    OmegaError,
    Sampler,
    Schedule,
    Sobol,
    TruncatedNormal,
    Uniform,
)

SUPER = {"task": {"name": "super-resolution"}, "network": {"config": {"scale": 4}}}


def critic(depth: int, **values: Any) -> dict[str, Any]:
    task = {"name": "super-resolution", "adversarial_scale": 0.1, "critic": {"depth": depth}}
    return {**SUPER, "task": task, **values}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"network": {"config": {"widht": 3}}}, "did you mean 'width'"),
        ({"network": {"architecture": "edrs"}}, "did you mean 'edsr'"),
        ({"network": {"config": {"width": 0}}}, "width must be an integer"),
        ({"network": {"basis": "mlp"}}, "network.basis"),
        ({"network": {"basis": "linear"}}, "needs a simplex"),
        ({"network": {"config": {"scale": 2}}}, "enlarges it 2 times"),
        ({"batch_size": 6}, "multiple of sampling.group (4)"),
        ({"compute": {"workers": 5}}, "4 groups of sampling.group (4), fewer than compute.workers"),
        ({"compute": {"workers": [1, 5]}}, "compute.accumulate (5 x 1)"),
        ({"compute": {"workers": 2, "accumulate": 3}}, "compute.accumulate (2 x 3)"),
        ({"compute": {"workers": [3, 2]}}, "[least, most]"),
        ({"compute": {"workers": 0}}, "compute.workers"),
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"precision": "fp8"}, "precision"),
        ({"log_every": 30}, "multiple of log_every 30"),
        ({"network": {"preset": "huge"}}, "no preset 'huge'"),
        ({"network": {"config": {"widht": 3}, "preset": "baseline-x1"}}, "did you mean 'width'"),
        ({"task": {"name": "colorize"}}, "train.task.name: unknown task 'colorize'"),
        ({"task": {"noise_sigma": [1.0, 2.0]}}, "train.task"),
        ({"task": {"name": "super-resolution"}}, "enlarges a picture 4 times, network.config enlarges it 1"),
        ({**SUPER, "patch_px": 50}, "patch_px 50 must be a multiple of 4"),
        ({"sampling": {"alpha": 0.2, "family": "uniform"}}, "no option alpha"),
        ({"optimizer": {"lr": 0}}, "optimizer.lr"),
        ({"network": {"train": "deltas"}}, "random without a checkpoint; name one in network.start"),
        (critic(3, patch_px=20), "patch_px 20 is less than the 24 px that the task's critic needs"),
        (
            {"task": {"name": "super-resolution", "trunk": {"layers": ["relu9_1"]}}},
            "no layer 'relu9_1'; it has",
        ),
        (
            {"task": {"name": "super-resolution", "trunk": {"layers": ["relu3_4"]}}},
            "vgg16 has no layer 'relu3_4'",
        ),
        ({"task": {"name": "super-resolution", "trunk": {"layers": []}}}, "trunk.layers"),
    ],
)
def test_impossible_options_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_section(values, "train", TrainConfig)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "values", [critic(3, patch_px=24), critic(2, patch_px=20), {**SUPER, "patch_px": 20}]
)
def test_patches_that_the_critic_can_judge_are_fine(values: dict[str, Any]) -> None:
    state = torch.get_rng_state()
    parse_section(values, "train", TrainConfig)
    assert torch.equal(torch.get_rng_state(), state)


def test_where_a_run_happens_and_what_is_saved_is_no_part_of_its_identity() -> None:
    one = parse_section({"compute": {"workers": 1}}, "train", TrainConfig)
    two = parse_section({"compute": {"workers": 2, "threads": 3}}, "train", TrainConfig)
    assert one.identity() == two.identity()
    watched = parse_section(
        {"validation": {"every": 7}, "tracking": {"parent": "1"}, "compute": {"workers": [1, 3]}},
        "train",
        TrainConfig,
    )
    assert watched.identity() == one.identity()
    saved = parse_section({"log_every": 5, "checkpoint_every": 10}, "train", TrainConfig)
    assert saved.identity() == one.identity()
    for numbers in ({"seed": 1}, {"precision": "bfloat16"}, {"ema_decay": 0.9}, {"window": 2}):
        assert one.identity() != parse_section(numbers, "train", TrainConfig).identity()


def test_workers_are_a_number_or_a_range() -> None:
    fixed = parse_section({"compute": {"workers": 3}}, "train", TrainConfig).compute
    assert (fixed.least_workers, fixed.most_workers) == (3, 3)
    elastic = parse_section({"compute": {"workers": [1, 4]}}, "train", TrainConfig).compute
    assert (elastic.least_workers, elastic.most_workers) == (1, 4)


def test_every_task_has_options_of_its_own() -> None:
    config = parse_section(SUPER, "train", TrainConfig)
    assert config.task.name == "super-resolution"
    again = parse_section(config.model_dump(), "train", TrainConfig)
    assert again == config
    assert config.identity()["task"]["scale"] == 4


@pytest.mark.parametrize(
    ("sampling", "said"),
    [
        ({"family": "truncated-normal", "mean": [0.1, 0.2, 0.3]}, "shape"),
        ({"family": "fixed", "at": {"denose": 1.0}}, "did you mean 'denoise'"),
    ],
)
def test_a_sampler_that_does_not_fit_the_space_is_refused_at_once(
    sampling: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_section({"sampling": sampling}, "train", TrainConfig)


BOX, SIMPLEX = ControlSpace.box("a", "b"), ControlSpace.simplex("a", "b")


def parse_sampling(values: dict[str, Any]) -> SamplingConfig:
    return parse_section(values, "train.sampling", SamplingConfig)


EXAMPLES: list[tuple[dict[str, Any], Sampler]] = [
    ({}, Dirichlet(BOX, 0.5)),
    ({"family": "uniform", "group": 16}, Uniform(BOX)),
    ({"family": "dirichlet", "alpha": 0.2, "group": 4}, Dirichlet(BOX, 0.2)),
    ({"family": "beta", "a": 2.0, "b": 3.0}, Beta(BOX, 2.0, 3.0)),
    ({"family": "truncated-normal", "mean": 0.2, "std": 0.1}, TruncatedNormal(BOX, 0.2, 0.1)),
    ({"family": "truncated-normal", "mean": [0.2, 0.4]}, TruncatedNormal(BOX, (0.2, 0.4), 0.25)),
    ({"family": "truncated-normal"}, TruncatedNormal(BOX, None, 0.25)),
    ({"family": "corners", "corner_weight": 0.3}, Corners(BOX, 0.3, Uniform(BOX))),
    ({"family": "corners", "inner": "dirichlet", "alpha": 2.0}, Corners(BOX, 0.5, Dirichlet(BOX, 2.0))),
    ({"family": "sobol"}, Sobol(BOX, 8)),
    ({"family": "schedule", "points": 5}, Schedule(BOX, 5, 8)),
    ({"family": "fixed", "at": {"a": 1.0, "b": 0.5}}, Fixed(BOX, BOX.omega(a=1.0, b=0.5))),
]


@pytest.mark.parametrize(("values", "wanted"), EXAMPLES)
def test_each_family_is_the_librarys(values: dict[str, Any], wanted: Sampler) -> None:
    sampler = parse_sampling(values).sampler(BOX, per_step=8)
    assert type(sampler) is type(wanted)
    assert torch.equal(sampler(1, 2, range(8)), wanted(1, 2, range(8)))


def test_every_family_has_an_example_and_its_options() -> None:
    assert {values.get("family", "dirichlet") for values, _ in EXAMPLES} == set(get_args(Family))
    assert set(OPTIONS) == set(get_args(Family))
    read = {name for options in OPTIONS.values() for name in options}
    assert read == set(SamplingConfig.model_fields) - {"family", "group"}


@pytest.mark.parametrize("family", get_args(Family))
def test_every_family_works_on_a_simplex_with_its_defaults(family: str) -> None:
    SIMPLEX.check(parse_sampling({"family": family}).sampler(SIMPLEX, per_step=4)(0, 0, range(4)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"family": "uniform", "alpha": 0.2}, "uniform has no option alpha: .* dirichlet or corners"),
        ({"family": "sobol", "points": 5}, "sobol has no option points: .* schedule"),
        ({"at": {"a": 1.0}}, "dirichlet has no option at: .* fixed"),
        ({"points": 5}, "dirichlet has no option points"),
        ({"family": "corners", "alpha": 0.2}, "corners has no option alpha"),
        ({"family": "beta", "mean": [0.5, 0.5]}, "beta has no option mean"),
        ({"family": "gauss"}, "family"),
        ({"familly": "beta"}, "did you mean 'family'"),
        ({"alpha": 0.0}, "alpha"),
        ({"group": 0}, "group"),
        ({"family": "corners", "corner_weight": 1.5}, "corner_weight"),
        ({"family": "schedule", "points": 1}, "points"),
    ],
)
def test_invalid_sampling_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_sampling(values)


def test_a_mean_that_does_not_fit_the_space_is_refused_there() -> None:
    config = parse_sampling({"family": "truncated-normal", "mean": [0.2, 0.3, 0.5]})
    with pytest.raises(OmegaError, match="shape"):
        config.sampler(BOX, per_step=8)
