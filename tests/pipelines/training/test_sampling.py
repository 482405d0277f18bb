from typing import Any, get_args

import pytest
import torch

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.training.sampling import OPTIONS, Family, SamplingConfig
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

BOX, SIMPLEX = ControlSpace.box("a", "b"), ControlSpace.simplex("a", "b")


def parse(values: dict[str, Any]) -> SamplingConfig:
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
    sampler = parse(values).sampler(BOX, per_step=8)
    assert type(sampler) is type(wanted)
    assert torch.equal(sampler(1, 2, range(8)), wanted(1, 2, range(8)))


def test_every_family_has_an_example_and_its_options() -> None:
    assert {values.get("family", "dirichlet") for values, _ in EXAMPLES} == set(get_args(Family))
    assert set(OPTIONS) == set(get_args(Family))
    read = {name for options in OPTIONS.values() for name in options}
    assert read == set(SamplingConfig.model_fields) - {"family", "group"}


@pytest.mark.parametrize("family", get_args(Family))
def test_every_family_works_on_a_simplex_with_its_defaults(family: str) -> None:
    SIMPLEX.check(parse({"family": family}).sampler(SIMPLEX, per_step=4)(0, 0, range(4)))


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
def test_what_makes_no_sense_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse(values)


def test_a_mean_that_does_not_fit_the_space_is_refused_there() -> None:
    config = parse({"family": "truncated-normal", "mean": [0.2, 0.3, 0.5]})
    with pytest.raises(OmegaError, match="shape"):
        config.sampler(BOX, per_step=8)
