import pytest
import torch

from tunable_models import (
    L1,
    MSE,
    BlendedLoss,
    ControlSpace,
    ConversionError,
    MultiLoss,
    Term,
    TotalVariation,
    blend,
)

BOX = ControlSpace.box("a", "b")
NAMES = ("input", "smooth", "sharp", "clean")
OUTPUT = torch.rand(5, 3, 4, 4)
TARGETS = {name: torch.rand(5, 3, 4, 4) for name in NAMES}
OMEGA = torch.rand(5, 2)


def test_blended_mse_has_the_gradients_of_the_weighted_mses() -> None:
    gradients = []
    weighted = MultiLoss(BOX, [Term(objective=MSE(), target=name) for name in NAMES])
    for loss in (weighted, BlendedLoss(BOX, MSE(), NAMES)):
        output = OUTPUT.clone().requires_grad_()
        loss(output, TARGETS, OMEGA).sum().backward()
        gradients.append(output.grad)
    torch.testing.assert_close(*gradients)


def test_the_blended_target() -> None:
    targets = list(TARGETS.values())
    for target, corner in zip(targets, BOX.vertices, strict=True):
        assert torch.equal(blend(BOX, targets, torch.tensor([corner]).expand(5, 2)), target)
    a, b = OMEGA[:, 0].view(-1, 1, 1, 1), OMEGA[:, 1].view(-1, 1, 1, 1)
    expected = (1 - a) * (1 - b) * targets[0] + a * (1 - b) * targets[1]
    expected = expected + (1 - a) * b * targets[2] + a * b * targets[3]
    torch.testing.assert_close(blend(BOX, targets, OMEGA), expected)
    loss = BlendedLoss(BOX, L1(), NAMES)
    torch.testing.assert_close(loss(OUTPUT, TARGETS, OMEGA), L1()(OUTPUT, expected))


def test_a_blended_loss_has_a_target_for_every_vertex() -> None:
    for names in (NAMES[:2], "four"):
        with pytest.raises(ConversionError, match="4 names"):
            BlendedLoss(BOX, L1(), names)
    with pytest.raises(ConversionError, match="no target"):
        BlendedLoss(BOX, TotalVariation(), NAMES)
    with pytest.raises(ConversionError, match="'b' makes a dead slider"):
        BlendedLoss(BOX, L1(), ("input", "clean") * 2)


def test_a_target_for_every_vertex() -> None:
    with pytest.raises(ConversionError, match="expected 4 targets"):
        blend(BOX, list(TARGETS.values())[:2], OMEGA)
