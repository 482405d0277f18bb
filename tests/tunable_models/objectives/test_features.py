import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tunable_models import (
    L1,
    BlendedLoss,
    ControlSpace,
    ConversionError,
    Features,
    MultiLoss,
    Perceptual,
    Term,
    TunableError,
)
from tunable_models.objectives.features import LayerWeights, TrunkObjective

MAPS = {"a": torch.zeros(2, 3, 4, 4), "b": torch.ones(2, 3, 2, 2)}


def test_the_trunk_is_frozen_for_good() -> None:
    objective = TrunkObjective(nn.Sequential(nn.Conv2d(3, 3, 3), nn.Dropout()))
    for module in (objective, objective.train(), nn.Sequential(objective).train()):
        assert not objective.trunk.training, module
    assert not any(parameter.requires_grad for parameter in objective.parameters())


def test_layers_of_mappings_sequences_and_tensors() -> None:
    assert list(LayerWeights(None, None).of(MAPS)) == ["a", "b"]
    assert list(LayerWeights(("b",), None).of(MAPS)) == ["b"]
    maps = list(MAPS.values())
    assert LayerWeights((1,), None).of(maps)[1] is maps[1]
    assert LayerWeights(None, None).of(maps[0])[0] is maps[0]


def test_weights_are_added() -> None:
    values = [torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0])]
    assert LayerWeights(("a", "b"), (2, 0.5)).total(values).tolist() == [7, 14]
    assert LayerWeights(None, None).total(values).tolist() == [11, 22]


def test_impossible_layers_are_an_error() -> None:
    for layers in ((), "ab", ("a", "a")):
        with pytest.raises(ConversionError, match="different layers"):
            LayerWeights(layers, None)
    for weights in ((1.0,), (1.0, 2.0, 3.0)):
        with pytest.raises(ConversionError, match="one weight for each"):
            LayerWeights(("a", "b"), weights)
    with pytest.raises(ConversionError, match="name the layers"):
        LayerWeights(None, (1.0,))
    with pytest.raises(TunableError, match="positive"):
        LayerWeights(("a",), (0.0,))


def test_a_layer_that_the_trunk_lacks_is_an_error() -> None:
    with pytest.raises(ConversionError, match=r"\['c'\], it has 'a', 'b'"):
        LayerWeights(("c",), None).of(MAPS)
    with pytest.raises(ConversionError, match="returns feature maps"):
        LayerWeights(None, None).of(3)
    with pytest.raises(ConversionError, match="it has none"):
        LayerWeights(None, None).of([])


class Two(nn.Module):
    """A trunk of two layers, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Conv2d(3, 4, 1)
        self.deep = nn.Conv2d(4, 5, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        near = self.near(images).relu()
        return {"near": near, "deep": self.deep(near).relu()}


def numpy_maps(trunk: Two, images: Tensor) -> list[np.ndarray]:
    x = images.numpy()
    maps = []
    for layer in (trunk.near, trunk.deep):
        kernel, bias = (value.detach().numpy() for value in (layer.weight[:, :, 0, 0], layer.bias))
        x = np.maximum(np.einsum("oi,bihw->bohw", kernel, x) + bias[None, :, None, None], 0)
        maps.append(x)
    return maps


def test_values(pair: tuple[Tensor, Tensor]) -> None:
    trunk = Two().double()
    ours, theirs = (numpy_maps(trunk, images) for images in pair)
    squares = [((a - b) ** 2).mean((1, 2, 3)) for a, b in zip(ours, theirs, strict=True)]
    both = Features(trunk, ("near", "deep"), (0.5, 2.0))(*pair)
    assert both.tolist() == pytest.approx((0.5 * squares[0] + 2 * squares[1]).tolist())
    assert Features(trunk, ("deep",))(*pair).tolist() == pytest.approx(squares[1].tolist())
    absolute = np.abs(ours[0] - theirs[0]).mean((1, 2, 3))
    assert Features(trunk, ("near",), distance=L1())(*pair).tolist() == pytest.approx(absolute.tolist())


def test_the_output_has_a_gradient_and_nothing_else(pair: tuple[Tensor, Tensor]) -> None:
    objective = Features(Two().double())
    output, target = (images.clone().requires_grad_() for images in pair)
    objective(output, target).sum().backward()
    assert output.grad is not None
    assert output.grad.abs().max() > 0
    assert target.grad is None
    assert all(parameter.grad is None for parameter in objective.parameters())


def test_blends_targets_as_its_distance_does(pair: tuple[Tensor, Tensor]) -> None:
    space = ControlSpace.simplex("a", "b")
    squared, absolute = Features(Two().double()), Features(Two().double(), distance=L1())
    with pytest.raises(ConversionError, match="dead slider"):
        MultiLoss(space, [Term(objective=absolute, target=name) for name in "ab"])
    loss = MultiLoss(space, [Term(objective=squared, target=name) for name in "ab"])
    omega = torch.tensor([[0.25, 0.75]] * 3).double()
    targets = dict(zip("ab", pair, strict=True))
    assert loss(pair[0], targets, omega).tolist() == pytest.approx((0.75 * squared(*pair)).tolist())


def test_weighted_squares_are_best_between_the_targets_in_feature_space(
    pair: tuple[Tensor, Tensor],
) -> None:
    """Their gradient is that of the squared error to the blended features."""
    trunk = Two().double()
    output = torch.rand_like(pair[0]).requires_grad_()
    loss = 0.3 * Features(trunk)(output, pair[0]) + 0.7 * Features(trunk)(output, pair[1])
    (gradient,) = torch.autograd.grad(loss.sum(), output)
    with torch.no_grad():
        maps = [trunk(images) for images in pair]
    blended = {name: 0.3 * maps[0][name] + 0.7 * maps[1][name] for name in maps[0]}
    errors = [
        (value - blended[name]).square().flatten(1).mean(1).sum() for name, value in trunk(output).items()
    ]
    (expected,) = torch.autograd.grad(sum(errors), output)
    torch.testing.assert_close(gradient, expected)


def test_moves_with_the_loss() -> None:
    loss = BlendedLoss(ControlSpace.box("a"), Features(Two()), ("input", "clean"))
    assert loss.to("meta") is loss
    assert next(loss.objective.parameters()).is_meta  # type: ignore[attr-defined]


class Distance(nn.Module):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0))
        self.shape = shape

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        values = self.gain * (output - target).abs().amax((1, 2, 3))
        return values.view(self.shape) if self.shape else values.mean()


@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (-1, 1, 1, 1)])
def test_returns_what_the_network_does(pair: tuple[Tensor, Tensor], shape: tuple[int, ...]) -> None:
    network = Distance(shape)
    expected = 2 * (pair[0] - pair[1]).abs().amax((1, 2, 3))
    torch.testing.assert_close(Perceptual(network)(*pair), expected)
    assert not network.training
    assert not network.gain.requires_grad


def test_an_average_over_the_batch_is_an_error(pair: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(ConversionError, match="averaging over the batch"):
        Perceptual(Distance(()))(*pair)
