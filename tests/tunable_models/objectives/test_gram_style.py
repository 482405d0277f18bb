import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tunable_models import ControlSpace, ConversionError, GramStyle, MultiLoss, Term, TunableError, gram

STYLE = torch.rand(3, 9, 7, generator=torch.Generator().manual_seed(1)).double()


def trunk() -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(3, 4, 3).double()


def numpy_gram(maps: Tensor) -> np.ndarray:
    x = maps.detach().numpy()
    return np.einsum("bchw,bdhw->bcd", x, x) / x[0].size


def test_gram_matrices(pair: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(gram(pair[0]).numpy(), numpy_gram(pair[0]))
    # 1e3 squared and summed over 100 px leaves the range of float16; the quotient does not.
    large = torch.full((1, 2, 10, 10), 1e3, dtype=torch.float16)
    assert gram(large).unique().tolist() == pytest.approx([5e5])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert gram(pair[0].float()).dtype == torch.float32
    with pytest.raises(TunableError, match="feature maps"):
        gram(pair[0][0])


def test_values(pair: tuple[Tensor, Tensor]) -> None:
    network = trunk()
    theirs = numpy_gram(network(STYLE[None]))
    expected = ((numpy_gram(network(pair[0])) - theirs) ** 2).sum((1, 2))
    objective = GramStyle(network, STYLE, weights=(3.0,), layers=(0,))
    assert objective(pair[0]).tolist() == pytest.approx((3 * expected).tolist())


def test_gram_matrices_stand_for_their_image(pair: tuple[Tensor, Tensor]) -> None:
    one = GramStyle(trunk(), STYLE)
    two = GramStyle(trunk(), one.grams)
    assert torch.equal(one(pair[0]), two(pair[0]))
    assert two.grams[0] is not one.grams[0]


def test_styles_blend() -> None:
    """The weighted sum has the gradient of the distance to the blended Gram matrices."""
    styles = [STYLE, STYLE.flip(0).sqrt()]
    objectives = [GramStyle(trunk(), style) for style in styles]
    loss = MultiLoss(ControlSpace.simplex("a", "b"), [Term(objective=item) for item in objectives])
    assert loss.target_names == frozenset()
    mean = GramStyle(trunk(), {0: 0.3 * objectives[0].grams[0] + 0.7 * objectives[1].grams[0]})
    output = torch.rand(2, 3, 8, 8).double().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(output, {}, torch.tensor([[0.3, 0.7]] * 2).double()).sum(), output)
    (expected,) = torch.autograd.grad(mean(output).sum(), output)
    torch.testing.assert_close(gradient, expected)


def test_the_matrices_move_along() -> None:
    objective = GramStyle(trunk(), STYLE).to("meta")
    assert objective.grams[0].is_meta


def test_impossible_styles_are_an_error(pair: tuple[Tensor, Tensor]) -> None:
    for style in (STYLE[0], pair[0]):
        with pytest.raises(TunableError, match="one style image"):
            GramStyle(trunk(), style)
    with pytest.raises(TunableError, match="Gram matrix"):
        GramStyle(trunk(), {0: torch.zeros(3, 4)})
    with pytest.raises(ConversionError, match="layers"):
        GramStyle(trunk(), {0: torch.zeros(4, 4)}, layers=(1,))
    with pytest.raises(ConversionError, match="4"):
        GramStyle(trunk(), {0: torch.zeros(3, 3).double()})(pair[0])
