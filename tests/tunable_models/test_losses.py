import pytest
import torch

from tunable_models import (
    L1,
    MSE,
    RMSE,
    BlendedLoss,
    Charbonnier,
    ControlSpace,
    ConversionError,
    MultiLoss,
    Term,
    TunableError,
    blend,
)

BOX = ControlSpace.box("a", "b")
SIMPLEX = ControlSpace.simplex("a", "b")
OUTPUT, TARGETS = torch.rand(5, 3, 4, 4), torch.rand(5, 4, 3, 4, 4)
OMEGA = torch.rand(5, 2)


def test_objectives_are_means_a_sample() -> None:
    target = TARGETS[:, 0]
    difference = OUTPUT - target
    torch.testing.assert_close(L1()(OUTPUT, target), difference.abs().mean((1, 2, 3)))
    torch.testing.assert_close(MSE()(OUTPUT, target), difference.square().mean((1, 2, 3)))
    torch.testing.assert_close(Charbonnier(1e-6)(OUTPUT, target), L1()(OUTPUT, target))
    assert Charbonnier(0.1)(target, target).tolist() == pytest.approx([0.1] * 5)
    torch.testing.assert_close(RMSE(1e-6)(OUTPUT, target), MSE()(OUTPUT, target).sqrt())
    for kind in (Charbonnier, RMSE):
        with pytest.raises(TunableError, match="positive"):
            kind(0)


def test_rmse_has_a_finite_gradient_at_zero_error() -> None:
    output = OUTPUT.clone().requires_grad_()
    RMSE()(output, OUTPUT).sum().backward()
    assert output.grad.isfinite().all()  # type: ignore[union-attr]


def test_multi_loss_is_the_weighted_sum_of_its_objectives() -> None:
    terms = [Term(objective=MSE(), target=0), Term(objective=L1(), target=0, scale=3)]
    omega = torch.tensor([[0.25, 0.75]]).expand(5, 2)
    expected = 0.25 * MSE()(OUTPUT, TARGETS[:, 0]) + 0.75 * 3 * L1()(OUTPUT, TARGETS[:, 0])
    torch.testing.assert_close(MultiLoss(SIMPLEX, terms)(OUTPUT, TARGETS, omega), expected)


def test_at_a_vertex_only_its_objective_counts() -> None:
    loss = MultiLoss(BOX, [Term(objective=MSE(), target=i) for i in range(4)])
    for index, corner in enumerate(BOX.vertices):
        omega = torch.tensor([corner]).expand(5, 2)
        torch.testing.assert_close(loss(OUTPUT, TARGETS, omega), MSE()(OUTPUT, TARGETS[:, index]))


def test_blended_mse_has_the_gradients_of_the_weighted_mses() -> None:
    gradients = []
    for loss in (
        MultiLoss(BOX, [Term(objective=MSE(), target=i) for i in range(4)]),
        BlendedLoss(BOX, MSE()),
    ):
        output = OUTPUT.clone().requires_grad_()
        loss(output, TARGETS, OMEGA).sum().backward()
        gradients.append(output.grad)
    torch.testing.assert_close(*gradients)


def test_the_blended_target_meets_each_corner() -> None:
    for index, corner in enumerate(BOX.vertices):
        omega = torch.tensor([corner]).expand(5, 2)
        assert torch.equal(blend(BOX, TARGETS, omega), TARGETS[:, index])


@pytest.mark.parametrize("objective", [L1(), Charbonnier(), RMSE()])
def test_dead_combinations_are_refused(objective: L1) -> None:
    with pytest.raises(ConversionError, match="dead slider"):
        MultiLoss(SIMPLEX, [Term(objective=objective, target=0), Term(objective=objective, target=1)])


def test_different_objectives_are_no_way_around() -> None:
    with pytest.raises(ConversionError, match="dead slider"):
        MultiLoss(SIMPLEX, [Term(objective=L1(), target=0), Term(objective=Charbonnier(), target=1)])


def test_the_refused_combination_is_dead_indeed() -> None:
    """At weight 0.6 the best constant under two L1 distances is one target, under two MSEs between."""
    candidates = torch.linspace(0, 1, 101)
    l1 = 0.6 * candidates.abs() + 0.4 * (candidates - 1).abs()
    mse = 0.6 * candidates.square() + 0.4 * (candidates - 1).square()
    assert candidates[l1.argmin()] == 0
    assert candidates[mse.argmin()].item() == pytest.approx(0.4)


def test_a_term_for_every_vertex() -> None:
    with pytest.raises(ConversionError, match="expected 4 terms"):
        MultiLoss(BOX, [Term(objective=MSE())])
    with pytest.raises(ConversionError, match="expected targets"):
        blend(BOX, TARGETS[:, :2], OMEGA)
