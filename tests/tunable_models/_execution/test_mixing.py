import pytest
import torch

from tunable_models import ControlSpace, TunableParameter
from tunable_models._execution.mixing import Coefficients, weighted_sum
from tunable_models.bases import BasisName

KERNELS = torch.rand(3, 2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
BASE = torch.rand(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("base", [None, BASE])
@pytest.mark.parametrize("shape", [(3,), (4, 3)])
def test_equals_the_sum_written_out(base: torch.Tensor | None, shape: tuple[int, ...]) -> None:
    c = torch.rand(shape, dtype=torch.float64)
    expected = torch.einsum("...j,jab->...ab", c, KERNELS) + (0 if base is None else base)
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            torch.testing.assert_close(weighted_sum(KERNELS, Coefficients(c), base), expected)


@pytest.mark.parametrize("with_base", [True, False])
@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_gradients(with_base: bool, shape: tuple[int, ...]) -> None:
    tensors = [
        KERNELS.clone(),
        torch.rand(shape, dtype=torch.float64),
        *([BASE.clone()] if with_base else []),
    ]
    inputs = tuple(tensor.requires_grad_() for tensor in tensors)

    def call(kernels: torch.Tensor, c: torch.Tensor, *base: torch.Tensor) -> torch.Tensor:
        return weighted_sum(kernels, Coefficients(c), base[0] if base else None)

    assert torch.autograd.gradcheck(call, inputs)
    assert torch.autograd.gradgradcheck(call, inputs)


def test_gradients_keep_the_memory_format() -> None:
    kernels = torch.rand(2, 4, 3, 3, 3).flatten(0, 1).contiguous(memory_format=torch.channels_last)
    kernels = kernels.unflatten(0, (2, 4)).requires_grad_()
    c = torch.tensor([0.25, 0.5])
    upstream = torch.rand(4, 3, 3, 3).contiguous(memory_format=torch.channels_last)
    weighted_sum(kernels, Coefficients(c)).backward(upstream)
    assert kernels.grad is not None
    torch.testing.assert_close(kernels.grad, c.view(2, 1, 1, 1, 1) * upstream)
    assert kernels.grad[0].is_contiguous(memory_format=torch.channels_last)


def test_torch_func_sees_through() -> None:
    c = torch.rand(5, 3, dtype=torch.float64)
    batched = torch.func.vmap(lambda row: weighted_sum(KERNELS, Coefficients(row), BASE))(c)
    torch.testing.assert_close(batched, torch.einsum("bj,jxy->bxy", c, KERNELS) + BASE)


@pytest.mark.parametrize("basis", ["delta", "linear"])
def test_a_number_alone_is_tunable(basis: BasisName) -> None:
    space = ControlSpace.simplex("a", "b")
    scale = TunableParameter(torch.tensor(1.0), controls=space, basis=basis)
    omega = torch.tensor([[1.0, 0.0], [0.25, 0.75]])
    assert scale(omega[0]).shape == ()
    scale(omega[1]).backward()
    with torch.no_grad():
        for parameter in scale.parameters():
            assert parameter.grad is not None
            parameter.add_(parameter.grad)
    # One step along c_j: 1 + c . c of this omega, c = (1, 0.75) with a base and (0.25, 0.75) without.
    gain = torch.tensor([1.0, 1 + 0.75**2] if basis == "delta" else [0.25, 0.25**2 + 0.75**2])
    torch.testing.assert_close(scale(omega), 1 + gain)
    scale(omega).sum().backward()


def test_gradients_of_numbers() -> None:
    c = torch.rand(3, dtype=torch.float64, requires_grad=True)
    kernels = torch.rand(3, dtype=torch.float64, requires_grad=True)
    base = torch.rand((), dtype=torch.float64, requires_grad=True)
    for own in (c, torch.rand(2, 3, dtype=torch.float64, requires_grad=True)):
        call = [own, kernels, base]
        assert torch.autograd.gradcheck(lambda c, k, b: weighted_sum(k, Coefficients(c), b), call)
        assert torch.autograd.gradcheck(lambda c, k: weighted_sum(k, Coefficients(c)), call[:2])
