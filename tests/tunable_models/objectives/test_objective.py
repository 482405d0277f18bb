"""What holds for every objective."""

import inspect

import pytest
import torch
from torch import Tensor, nn

from tunable_models import Control, ControlSpace, MultiLoss, Term, TunableError, objectives
from tunable_models.objectives import (
    L1,
    MSE,
    PSNR,
    RMSE,
    SSIM,
    Adversarial,
    Charbonnier,
    Features,
    Frequency,
    GramStyle,
    Objective,
    Perceptual,
    TotalVariation,
)


class Distance(nn.Module):
    """A stand-in for LPIPS: four-dimensional numbers, and a convolution to look through."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(3, 4, 3)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return (self.look(output) - self.look(target)).square().mean((1, 2, 3), keepdim=True)


def trunk() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh())


def image(batch: int, seed: int) -> Tensor:
    return torch.rand(batch, 3, 12, 13, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


ALL: list[Objective] = [
    L1(),
    MSE(),
    PSNR(),
    RMSE(),
    SSIM(),
    Charbonnier(),
    Frequency(),
    TotalVariation(),
    Features(trunk()).double(),
    Features(trunk(), distance=L1()).double(),
    Perceptual(Distance()).double(),
    GramStyle(trunk().double(), image(1, 5)),
    Adversarial(trunk().double()),
]
NAMES = [f"{type(objective).__name__}{index}" for index, objective in enumerate(ALL)]
every = pytest.mark.parametrize("objective", ALL, ids=NAMES)


def test_every_objective_is_swept() -> None:
    classes = {value for name in objectives.__all__ if inspect.isclass(value := getattr(objectives, name))}
    assert {type(objective) for objective in ALL} == classes - {Objective}


@every
def test_a_batch_equals_a_loop(objective: Objective) -> None:
    output, target = image(3, 0), image(3, 1)
    whole = objective(output, target)
    assert whole.shape == (3,)
    assert whole.unique().numel() == 3
    one_by_one = [objective(output[i : i + 1], target[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(whole, torch.cat(one_by_one))


@every
def test_gradients(objective: Objective) -> None:
    """Also of those with kinks, which no number drawn here meets."""
    output, target = image(2, 2)[..., :11, :11].contiguous(), image(2, 3)[..., :11, :11]
    assert torch.autograd.gradcheck(
        lambda x: objective(x, target), output.requires_grad_(), eps=1e-7, atol=1e-5, fast_mode=True
    )


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finite_at_zero_error(objective: Objective, dtype: torch.dtype) -> None:
    if isinstance(objective, nn.Module):
        objective.to(dtype)
    target = image(2, 4).to(dtype)
    target[1] = 0.5  # flat, too
    output = target.clone().requires_grad_()
    value = objective(output, target)
    (gradient,) = torch.autograd.grad(value.sum(), output)
    if isinstance(objective, nn.Module):
        objective.to(torch.float64)
    assert value.isfinite().all()
    assert gradient.isfinite().all()


@every
def test_those_with_a_target_pull_towards_it(objective: Objective) -> None:
    target = image(2, 6)
    far, near = target + 0.3 * (image(2, 7) - 0.5), target + 0.1 * (image(2, 7) - 0.5)
    if objective.needs_target:
        assert (objective(near, target) < objective(far, target)).all()
    else:
        torch.testing.assert_close(objective(far, target), objective(far, near))


@every
def test_a_target_of_another_size_is_an_error(objective: Objective) -> None:
    if objective.needs_target:
        for other in (image(2, 0)[..., :6], image(2, 0)[:1], image(2, 0)[:, :1]):
            with pytest.raises(TunableError, match="one shape"):
                objective(image(2, 0), other)


@every
def test_works_as_a_term_that_names_no_target(objective: Objective) -> None:
    space = ControlSpace.box(Control(name="more", kind="condition"))
    terms = [Term(objective=objective), Term(objective=objective, scale=2)]
    output, targets = image(2, 8), {"clean": image(2, 9)} if objective.needs_target else {}
    omega = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    values = MultiLoss(space, terms)(output, targets, omega)
    torch.testing.assert_close(values, objective(output, image(2, 9)) * torch.tensor([1.0, 2.0]).double())
