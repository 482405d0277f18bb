import pytest
import torch
from torch import nn

from tunable_models import ControlSpace, ConversionError
from tunable_models._execution.kernels import find_kernels, install_kernels
from tunable_models._execution.mixing import Coefficients
from tunable_models.bases import make_basis

BOX = ControlSpace.box("a", "b")
DELTA = make_basis("delta", BOX)


def _installed(module: nn.Module, rank: int | None = None, name: str = "weight") -> nn.Module:
    install_kernels(module, name, DELTA, rank, freeze=False)
    return module


@pytest.mark.parametrize(
    ("module", "out", "inner"),
    [
        (nn.Conv2d(4, 6, 3), (2, 1, 6, 2), (2, 1, 2, 36)),
        (nn.Conv2d(8, 12, 3, groups=2), (2, 2, 6, 2), (2, 2, 2, 36)),
        (nn.ConvTranspose2d(8, 6, 3, groups=2), (2, 2, 4, 2), (2, 2, 2, 27)),
        (nn.Linear(8, 6), (2, 1, 6, 2), (2, 1, 2, 8)),
    ],
    ids=repr,
)
def test_low_rank_form(module: nn.Module, out: tuple[int, ...], inner: tuple[int, ...]) -> None:
    kernels = find_kernels(_installed(module, rank=2), "weight", has_base=True)
    assert kernels.deltas is None
    assert kernels.out is not None
    assert kernels.inner is not None
    assert (kernels.out.shape, kernels.inner.shape) == (out, inner)


@pytest.mark.parametrize("module", [nn.Conv2d(4, 4, 3, groups=4), nn.Linear(2, 2)], ids=repr)
def test_what_would_not_shrink_stays_full(module: nn.Module) -> None:
    assert find_kernels(_installed(module, rank=1), "weight", has_base=True).out is None


def test_vectors_stay_full() -> None:
    assert find_kernels(_installed(nn.Linear(8, 64), 1, "bias"), "bias", has_base=True).out is None


@pytest.mark.parametrize("groups", [1, 2])
def test_each_kernel_is_what_a_one_hot_omega_gives(groups: int) -> None:
    module = _installed(nn.Conv2d(8, 12, 3, groups=groups), rank=2)
    nn.init.normal_(module.weight_deltas_out)
    kernels = find_kernels(module, "weight", has_base=True)
    base, first, second = kernels.each()
    torch.testing.assert_close(kernels.at(Coefficients(torch.tensor([1.0, 0.0]))), base + first)
    both = kernels.at(Coefficients(torch.tensor([[0.0, 1.0], [0.5, 0.5]])))
    torch.testing.assert_close(both, torch.stack([base + second, base + (first + second) / 2]))


def test_both_factors_get_gradients_after_one_step() -> None:
    module = _installed(nn.Linear(8, 8), rank=2)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        kernels = find_kernels(module, "weight", has_base=True)
        kernels.at(Coefficients(torch.tensor([0.5, 0.5]))).square().sum().backward()
        optimizer.step()
    for factor in (module.weight_deltas_out, module.weight_deltas_in):
        assert (factor.grad.flatten(1).abs().amax(1) > 0).all()


def test_half_precision_is_mixed_in_float32() -> None:
    module = _installed(nn.Linear(4, 4)).bfloat16()
    nn.init.normal_(module.weight_deltas)
    kernels = find_kernels(module, "weight", has_base=True)
    c = torch.tensor([0.5, 0.5 + 2**-10])
    expected = (module.weight.float() + torch.einsum("j,jab->ab", c, module.weight_deltas.float())).bfloat16()
    assert torch.equal(kernels.at(Coefficients(c)), expected)


def test_a_name_that_is_taken_is_refused() -> None:
    module = nn.Linear(2, 2)
    module.weight_deltas = 1
    with pytest.raises(ConversionError, match="weight_deltas"):
        _installed(module)


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize(
    ("trained", "freeze", "base", "deltas"),
    [
        (True, False, True, True),
        (False, False, False, False),
        (True, True, False, True),
        (False, True, False, True),
    ],
)
def test_what_is_trained(rank: int | None, trained: bool, freeze: bool, base: bool, deltas: bool) -> None:
    module = nn.Linear(8, 8, bias=False).requires_grad_(trained)
    install_kernels(module, "weight", DELTA, rank, freeze=freeze)
    for name, parameter in module.named_parameters():
        assert parameter.requires_grad == (base if name == "weight" else deltas)
    assert len(list(module.parameters())) == (2 if rank is None else 3)


@pytest.mark.parametrize("rank", [None, 1])
def test_a_number_alone_has_kernels(rank: int | None) -> None:
    module = nn.Module()
    module.scale = nn.Parameter(torch.tensor(3.0))
    kernels = find_kernels(_installed(module, rank, "scale"), "scale", has_base=True)
    assert [kernel.shape for kernel in kernels.each()] == [(), (), ()]
    assert kernels.at(Coefficients(torch.tensor([0.5, 1.0]))) == 3
    assert torch.equal(kernels.at(Coefficients(torch.rand(4, 2))), torch.full((4,), 3.0))
