import math
import pickle
from fractions import Fraction
from typing import Any

import pytest
import torch

from tunable_models import Control, ControlSpace, OmegaError

BOX = ControlSpace.box(
    Control(name="noise", low=0, high=50, default=10, unit="sigma/255", kind="condition"), "deblur"
)
SIMPLEX = ControlSpace.simplex("a", "b", Control(name="c", default=0.5))


def test_native_values_become_omega_and_back() -> None:
    omega = BOX.omega(noise=25, deblur=0.25)
    assert torch.equal(omega, torch.tensor([0.5, 0.25]))
    assert BOX.values(omega) == {"noise": 25, "deblur": 0.25}
    assert torch.equal(BOX.omega(noise=Fraction(25), deblur=0.25), omega)


def test_unset_controls_take_their_defaults() -> None:
    assert BOX.values(BOX.omega()) == pytest.approx({"noise": 10, "deblur": 1})
    assert BOX.defaults == pytest.approx({"noise": 10, "deblur": 1})


def test_simplex_shares_the_rest_in_proportion_to_defaults() -> None:
    assert SIMPLEX.omega(a=0.4).tolist() == pytest.approx([0.4, 0.6 * 0.4, 0.6 * 0.6])
    assert SIMPLEX.omega().sum().item() == pytest.approx(1)
    assert SIMPLEX.omega(a=0.2, b=0.3, c=0.5).tolist() == pytest.approx([0.2, 0.3, 0.5])
    zero = ControlSpace.simplex("a", Control(name="b", default=0.0), Control(name="c", default=0.0))
    assert zero.omega(a=0.5).tolist() == pytest.approx([0.5, 0.25, 0.25])


def test_vertices_of_box_and_simplex() -> None:
    assert BOX.vertices == ((0, 0), (1, 0), (0, 1), (1, 1))
    assert SIMPLEX.vertices == ((1, 0, 0), (0, 1, 0), (0, 0, 1))


@pytest.mark.parametrize("space", [BOX, SIMPLEX])
def test_vertex_weights_are_one_hot_at_vertices_and_sum_to_one(space: ControlSpace) -> None:
    corners = torch.tensor(space.vertices)
    assert torch.equal(space.vertex_weights(corners), torch.eye(len(corners)))
    inside = corners.mean(0, keepdim=True)
    assert space.vertex_weights(inside).sum().item() == pytest.approx(1)


def test_box_weights_are_multilinear() -> None:
    weights = BOX.vertex_weights(torch.tensor([[0.2, 0.7]]))[0].tolist()
    assert weights == pytest.approx([0.8 * 0.3, 0.2 * 0.3, 0.8 * 0.7, 0.2 * 0.7])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"noize": 1}, "did you mean 'noise'"),
        ({"noise": 51}, "0 to 50 sigma/255, got 51"),
        ({"noise": -1}, "0 to 50"),
        ({"noise": math.nan}, "nan"),
        ({"noise": math.inf}, "inf"),
        ({"noise": "0,5"}, "expected a number"),
        ({"noise": True}, "expected a number"),
        (25.0, "settings by name, such as .*noise=.*got float"),
        (torch.ones(2), "got Tensor"),
    ],
)
def test_bad_values_are_refused(values: Any, words: str) -> None:
    with pytest.raises(OmegaError, match=words):
        BOX.omega(values)


@pytest.mark.parametrize("values", [{"a": 0.7, "b": 0.6}, {"a": 0.2, "b": 0.2, "c": 0.2}])
def test_simplex_values_must_be_able_to_sum_to_one(values: dict[str, float]) -> None:
    with pytest.raises(OmegaError, match="sum to 1"):
        SIMPLEX.omega(values)


@pytest.mark.parametrize("space", [BOX, SIMPLEX])
def test_plain_values_and_pickle_round_trip(space: ControlSpace) -> None:
    assert ControlSpace.from_dict(space.to_dict()) == space
    assert pickle.loads(pickle.dumps(space)) == space


@pytest.mark.parametrize(
    "make",
    [
        lambda: Control(name="no dots."),
        lambda: Control(name="a", low=1, high=1),
        lambda: Control(name="a", default=2),
        lambda: Control(name="a", kind="other"),  # type: ignore[arg-type]
        lambda: ControlSpace.box("a", "a"),
        lambda: ControlSpace.box(),
        lambda: ControlSpace.simplex("a"),
        lambda: ControlSpace.of(2.5),  # type: ignore[arg-type]
        lambda: ControlSpace("cone", ()),  # type: ignore[arg-type]
        lambda: ControlSpace.from_dict({"kind": "box"}),
        lambda: ControlSpace.from_dict({"kind": "box", "controls": [{"nome": "a"}]}),
        lambda: BOX.values(torch.rand(2, 2)),
    ],
)
def test_impossible_controls_are_refused(make: Any) -> None:
    with pytest.raises(OmegaError):
        make()
