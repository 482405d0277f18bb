import pytest
import torch
from torch import Tensor

from tunable_models import (
    L1,
    MSE,
    BlendedLoss,
    ControlSpace,
    ConversionError,
    Loss,
    MultiLoss,
    Term,
    blend,
)

BOX = ControlSpace.box("a", "b")
NAMES = ("input", "smooth", "sharp", "clean")
OUTPUT = torch.rand(5, 3, 4, 4)
TARGETS = {name: torch.rand(5, 3, 4, 4) for name in NAMES}
OMEGA = torch.rand(5, 2)


def squared() -> MultiLoss:
    return MultiLoss(BOX, [Term(objective=MSE(), target=name) for name in NAMES])


@pytest.mark.parametrize("loss", [squared(), BlendedLoss(BOX, L1(), NAMES)])
def test_a_batch_equals_a_loop(loss: Loss) -> None:
    whole = loss(OUTPUT, TARGETS, OMEGA)
    rows = [slice(i, i + 1) for i in range(5)]
    parts = [loss(OUTPUT[i], {name: t[i] for name, t in TARGETS.items()}, OMEGA[i]) for i in rows]
    torch.testing.assert_close(whole, torch.cat(parts))


def test_autocast_rounds_nothing() -> None:
    plain = [squared()(OUTPUT, TARGETS, OMEGA), blend(BOX, list(TARGETS.values()), OMEGA)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = [squared()(OUTPUT, TARGETS, OMEGA), blend(BOX, list(TARGETS.values()), OMEGA)]
    assert all(torch.equal(a, b) for a, b in zip(plain, cast, strict=True))


@pytest.mark.parametrize("loss", [squared(), BlendedLoss(BOX, L1(), NAMES)])
def test_targets_come_by_name(loss: Loss) -> None:
    assert loss.target_names == set(NAMES)
    some = {name: TARGETS[name] for name in ("clean", "input")}
    with pytest.raises(ConversionError, match="expected target 'sharp', 'smooth', got 'clean', 'input'"):
        loss(OUTPUT, some, OMEGA)
    with pytest.raises(ConversionError, match="got none"):
        loss(OUTPUT, {}, OMEGA)
    with pytest.raises(ConversionError, match="mapping"):
        loss(OUTPUT, torch.stack(list(TARGETS.values())), OMEGA)  # type: ignore[arg-type]


@pytest.mark.parametrize("loss", [squared(), BlendedLoss(BOX, L1(), NAMES)])
@pytest.mark.parametrize("shape", [(2,), (1, 2), (5, 1), (5, 2, 1)])
def test_omega_has_a_row_a_sample(loss: Loss, shape: tuple[int, ...]) -> None:
    with pytest.raises(ConversionError, match=r"omega of shape \(5, 2\)"):
        loss(OUTPUT, TARGETS, torch.zeros(shape))


class Average:
    blends_targets, needs_target = True, True

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).square().mean()


def test_an_objective_that_averages_over_the_batch_is_an_error() -> None:
    terms = [Term(objective=Average(), target=name) for name in NAMES]
    for loss in (MultiLoss(BOX, terms), BlendedLoss(BOX, Average(), NAMES)):
        with pytest.raises(ConversionError, match=r"Average to return one number a sample, \(5,\)"):
            loss(OUTPUT, TARGETS, OMEGA)
