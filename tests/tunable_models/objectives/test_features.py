import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tunable_models import L1, BlendedLoss, ControlSpace, ConversionError, Features, MultiLoss, Term


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
