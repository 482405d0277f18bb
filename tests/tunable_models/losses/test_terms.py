import pytest
import torch
from torch import nn

from tunable_models import (
    L1,
    MSE,
    PSNR,
    RMSE,
    SSIM,
    Charbonnier,
    Control,
    ControlSpace,
    ConversionError,
    Frequency,
    GramStyle,
    MultiLoss,
    Objective,
    Perceptual,
    Term,
    TotalVariation,
)

BOX = ControlSpace.box("a", "b")
SIMPLEX = ControlSpace.simplex("a", "b")


def term(objective: Objective, target: str = "clean", scale: float = 1) -> Term:
    return Term(objective=objective, target=target, scale=scale)


@pytest.mark.parametrize("scale", [0, -1, float("inf"), float("nan")])
def test_scales_are_positive_and_finite(scale: float) -> None:
    with pytest.raises(ConversionError, match="scale of MSE"):
        term(MSE(), scale=scale)


@pytest.mark.parametrize("target", [0, "", None])
def test_targets_are_names(target: object) -> None:
    with pytest.raises(ConversionError, match="by name"):
        Term(objective=MSE(), target=target)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "objective", [L1(), Charbonnier(), RMSE(), PSNR(), SSIM(), Frequency(), Perceptual(nn.Identity())]
)
def test_jumping_objectives_between_targets_are_refused(objective: Objective) -> None:
    with pytest.raises(ConversionError, match=r"'a'.*'b'.*dead slider.*use MSE.*BlendedLoss"):
        MultiLoss(SIMPLEX, [term(objective, "a"), term(objective, "b")])


@pytest.mark.parametrize("other", [Charbonnier(), MSE()])
def test_different_objectives_are_no_way_around(other: Objective) -> None:
    for terms in ([term(L1(), "a"), term(other, "b")], [term(other, "a"), term(L1(), "b")]):
        with pytest.raises(ConversionError, match="dead slider"):
            MultiLoss(SIMPLEX, terms)


def test_nor_is_company_at_a_vertex() -> None:
    with pytest.raises(ConversionError, match="dead slider"):
        MultiLoss(SIMPLEX, [[term(MSE()), term(L1())], [term(MSE(), "input"), term(TotalVariation())]])


def test_squared_errors_may_stand_between_targets() -> None:
    MultiLoss(SIMPLEX, [[term(MSE(), "a"), term(TotalVariation())], term(MSE(), "b", scale=2)])


def test_one_target_may_have_every_objective() -> None:
    perceptual = Perceptual(nn.Identity())
    MultiLoss(SIMPLEX, [term(L1()), [term(perceptual), term(L1(), scale=0.01), term(TotalVariation())]])


def test_objectives_without_target_are_no_other_target() -> None:
    style = GramStyle(nn.Conv2d(3, 4, 3), torch.rand(3, 8, 8))
    MultiLoss(SIMPLEX, [term(L1(), "content"), term(style)])
    MultiLoss(SIMPLEX, [[term(L1(), "content"), term(style)], term(L1(), "content")])


def test_terms_of_every_vertex_may_have_two_targets() -> None:
    """They do not depend on omega, so nothing jumps between them."""
    common = [term(L1(), "a"), term(L1(), "b")]
    MultiLoss(SIMPLEX, [common, [*common, term(TotalVariation())]])
    with pytest.raises(ConversionError, match="dead slider"):
        MultiLoss(SIMPLEX, [common, [*common, term(L1(), "b", scale=2)]])


def test_equal_terms_everywhere_are_refused() -> None:
    for space in (BOX, SIMPLEX, ControlSpace.box("a")):
        with pytest.raises(ConversionError, match="'a' makes a dead slider"):
            MultiLoss(
                space, [[term(MSE()), term(L1())], [term(L1()), term(MSE())]] * (len(space.vertices) // 2)
            )


def test_each_slider_of_a_box_must_change_something() -> None:
    only_first = [term(L1()), term(MSE(), scale=2)] * 2
    with pytest.raises(ConversionError, match="'b' makes a dead slider"):
        MultiLoss(BOX, only_first)
    MultiLoss(BOX, [term(L1()), term(MSE(), scale=2), term(L1()), term(MSE(), scale=3)])


@pytest.mark.parametrize("scales", [(1, 2), (0.1, 0.3), (1e-6, 1e6)])
def test_a_factor_common_to_all_terms_moves_nothing(scales: tuple[float, float]) -> None:
    vertices = [[term(L1(), scale=scale), term(TotalVariation(), scale=0.7 * scale)] for scale in scales]
    for space in (SIMPLEX, ControlSpace.box("a")):
        with pytest.raises(ConversionError, match=r"'a' makes a dead slider.*ratio of their scales"):
            MultiLoss(space, vertices)
        MultiLoss(space, [vertices[0], [vertices[1][0], term(TotalVariation(), scale=scales[1])]])


def test_on_a_box_one_factor_is_common_to_all_edges() -> None:
    """Of L1 and MSE on the edges of 'a', the one of the larger factor gains where 'a' is turned up."""
    with pytest.raises(ConversionError, match="'a' makes a dead slider"):
        MultiLoss(BOX, [term(L1()), term(L1(), scale=3), term(MSE()), term(MSE(), scale=3)])
    MultiLoss(BOX, [term(L1()), term(L1(), scale=3), term(MSE()), term(MSE(), scale=2)])
    with pytest.raises(ConversionError, match="'a' makes a dead slider"):
        MultiLoss(BOX, [term(L1(), scale=scale) for scale in (1, 2, 1, 3)])


def test_a_condition_need_not_change_the_loss() -> None:
    noise = Control(name="noise", kind="condition")
    MultiLoss(ControlSpace.box(noise), [term(L1())] * 2)
    MultiLoss(ControlSpace.box(noise), [term(L1()), term(L1(), scale=2)])
    MultiLoss(ControlSpace.box(noise, "smooth"), [term(L1())] * 2 + [term(TotalVariation())] * 2)
    with pytest.raises(ConversionError, match="'smooth'"):
        MultiLoss(ControlSpace.box(noise, "smooth"), [term(L1()), term(MSE())] * 2)


def best_output(objective: Objective, weight: float) -> float:
    """The constant in [0, 1] that is best under ``weight`` to target 1 and the rest to target 0."""
    candidates = torch.linspace(0, 1, 101).view(-1, 1, 1, 1)
    zero, one = torch.zeros_like(candidates), torch.ones_like(candidates)
    loss = (1 - weight) * objective(candidates, zero) + weight * objective(candidates, one)
    return candidates.flatten()[loss.argmin()].item()


def test_the_refused_slider_is_dead_in_numbers() -> None:
    weights = [0.1, 0.3, 0.45, 0.55, 0.7, 0.9]
    for objective in (L1(), Charbonnier(), PSNR(), RMSE()):
        jumps = [best_output(objective, weight) for weight in weights]
        assert jumps == pytest.approx([0, 0, 0, 1, 1, 1], abs=0.011)
    assert [best_output(MSE(), weight) for weight in weights] == pytest.approx(weights)
