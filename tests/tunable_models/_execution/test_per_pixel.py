from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from networks import mixed_by_hand, omegas, tunable
from tunable_models import ConversionError, OmegaError, TunableNetwork, build, get_architecture, make_tunable
from tunable_models._execution.per_pixel import OmegaMap
from tunable_models.bases import BasisName, make_basis

GENERATOR = torch.Generator().manual_seed(5)


def _uniform(omega: Tensor, x: Tensor) -> Tensor:
    """A map (B, P, H, W) of one omega (P,)."""
    return omega[None, :, None, None].expand(len(x), -1, *x.shape[-2:])


def _halves(left: Tensor, right: Tensor, x: Tensor, axis: int, edge: int) -> Tensor:
    chosen = (torch.arange(x.shape[axis]) < edge).view((1, 1, 1, -1) if axis == 3 else (1, 1, -1, 1))
    return torch.where(chosen, _uniform(left, x), _uniform(right, x))


class Strided(nn.Module):
    """Strides down and up again, padding inside, a channel scale, other padding modes, a skip."""

    alignment = 4
    radius = 4 + 8 + 8 + 6

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")
        self.down1 = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2)
        self.down2 = nn.Conv2d(6, 6, 2, stride=2, bias=False)
        self.beta = nn.Parameter(torch.ones(1, 6, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, 6, 1, 1))
        self.up1 = nn.ConvTranspose2d(6, 4, 4, stride=2, padding=1)
        self.up2 = nn.Conv2d(4, 12, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        padded = F.pad(x, (0, -width % 4, 0, -height % 4), mode="replicate")
        y = self.down2(self.down1(self.head(padded)).relu())
        y = self.gamma + self.beta * y.tanh()
        y = F.pixel_shuffle(self.up2(self.norm(self.up1(y)).relu()), 2)
        return x + y[..., :height, :width]


def _strided(basis: BasisName = "delta", **options: object) -> TunableNetwork:
    return tunable(basis, Strided(), **options)


@pytest.mark.parametrize("basis", ["delta", "linear", "affine", "multilinear"])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (16, 12), (33, 18)])
def test_a_uniform_map_is_one_omega(basis: BasisName, size: tuple[int, int]) -> None:
    network = _strided(basis)
    x = torch.rand(2, 3, *size, generator=GENERATOR)
    omega = omegas(network, 2)
    for value in omega:
        torch.testing.assert_close(network(x, omega=_uniform(value, x)), network(x, omega=value))
    both = omega[:, :, None, None].expand(-1, -1, *size)
    torch.testing.assert_close(network(x, omega=both), network(x, omega=omega))


@pytest.mark.parametrize(
    "options", [{"rank": 1}, {"exclude": ["*bias"]}, {"exclude": ["*weight"]}, {"exclude": ["beta"]}]
)
def test_a_uniform_map_is_one_omega_when_parts_stay_plain(options: dict[str, object]) -> None:
    network = _strided("affine" if "exclude" in options else "delta", **options)
    x = torch.rand(2, 3, 9, 11, generator=GENERATOR)
    omega = omegas(network, 1)[0]
    torch.testing.assert_close(network(x, omega=_uniform(omega, x)), network(x, omega=omega))


class Wrapped(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x)
        return y


DRUNETS: dict[str, dict[str, Any]] = {
    "drunet": {"widths": [4, 6, 8], "blocks": 1},
    "drunet at half resolution": {"widths": [4, 6], "blocks": 1, "unshuffle": 2, "noise_map": 25.0},
}
REACHES: dict[str, tuple[nn.Module, int, int]] = {
    "edsr": (build("edsr", width=4, blocks=2), 6, 1),
    "edsr-x3": (
        build("edsr", width=4, blocks=1, scale=3),
        get_architecture("edsr").contract(blocks=1, scale=3).radius_px,
        3,
    ),
    "strided": (Strided(), Strided.radius, 1),
    **{
        label: (build("drunet", **config), get_architecture("drunet").contract(**config).radius_px, 1)
        for label, config in DRUNETS.items()
    },
    "wrapped drunet": (
        Wrapped(build("drunet", **DRUNETS["drunet"])),
        get_architecture("drunet").contract(**DRUNETS["drunet"]).radius_px,
        1,
    ),
}
"""Networks, how far they see in input pixels, and how much they enlarge."""


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("part", [0.3, 0.5, 0.65])
@pytest.mark.parametrize("extra", [0, 1, 3])
@pytest.mark.parametrize("name", REACHES)
def test_half_planes_equal_the_uniform_results_beyond_the_receptive_field(
    name: str, extra: int, part: float, axis: int
) -> None:
    module, radius, scale = REACHES[name]
    network = tunable("delta", module)
    side = 4 * radius + 20 + extra
    edge = round(part * side)
    shape = [13, 13]
    shape[axis - 2] = side
    x = torch.rand(1, 3, *shape, generator=GENERATOR)
    left, right = torch.tensor([0.1, 0.9]), torch.tensor([0.8, 0.2])
    painted = network(x, omega=_halves(left, right, x, axis, edge))
    sides = ((left, 0, edge - radius), (right, edge + radius, side))
    for omega, start, stop in sides:
        span = (axis, scale * start, scale * (stop - start))
        torch.testing.assert_close(painted.narrow(*span), network(x, omega=omega).narrow(*span))
        near = (axis, scale * (edge - 2), scale * 4)
        assert not torch.allclose(painted.narrow(*near), network(x, omega=omega).narrow(*near))


@pytest.mark.parametrize("stride", [5, 7, 24, (1, 2), (3, 1)])
def test_every_stride_has_its_own_grid(stride: int | tuple[int, int]) -> None:
    network = tunable("delta", nn.Conv2d(3, 4, stride, stride=stride)).double()
    across = stride if isinstance(stride, int) else stride[1]
    x = torch.rand(1, 3, 48, 20 * across, generator=GENERATOR).double()
    left, right = torch.tensor([0.1, 0.9]).double(), torch.tensor([0.8, 0.2]).double()
    painted = network(x, omega=_halves(left, right, x, 3, 4 * across))
    torch.testing.assert_close(painted[..., :4], network(x, omega=left)[..., :4])
    torch.testing.assert_close(painted[..., 4:], network(x, omega=right)[..., 4:])


def test_a_grid_that_does_not_fit_is_refused() -> None:
    network = tunable("delta", nn.Sequential(nn.Upsample(size=(150, 150)), nn.Conv2d(3, 3, 1)))
    with pytest.raises(ConversionError, match="150x150 cells for 100x100 px"):
        network(torch.rand(1, 3, 100, 100), omega=torch.rand(1, 2, 100, 100))


def test_coefficients_of_a_map_are_not_rounded_by_autocast() -> None:
    network = tunable("affine", nn.Conv2d(3, 3, 1))
    omega = torch.tensor([0.5, 0.5 + 2**-10]).view(1, 2, 1, 1)
    basis = next(iter(network.get_submodule("_mixers").values()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        c = OmegaMap(omega, 1).coefficients(basis, 1, 1)
    torch.testing.assert_close(c, OmegaMap(omega, 1).coefficients(basis, 1, 1), rtol=0, atol=0)


def test_every_pixel_of_a_1x1_convolution_has_its_own_kernel() -> None:
    network = tunable("multilinear", nn.Conv2d(3, 2, 1))
    x, omega = torch.rand(1, 3, 2, 3), torch.rand(1, 2, 2, 3)
    output = network(x, omega=omega)
    for i in range(2):
        for j in range(3):
            tensors = mixed_by_hand(network, omega[0, :, i, j])
            pixel = tensors["weight"][..., 0, 0] @ x[0, :, i, j] + tensors["bias"]
            torch.testing.assert_close(output[0, :, i, j], pixel)


def test_gradients_through_a_map_equal_those_of_one_omega() -> None:
    network = _strided()
    x = torch.rand(2, 3, 9, 11, generator=GENERATOR)
    omega = omegas(network, 1)[0].requires_grad_()
    wanted = [*network.parameters(), omega]
    a, b = (
        torch.autograd.grad(network(x, omega=w).square().sum(), wanted, allow_unused=True)
        for w in (_uniform(omega, x), omega)
    )
    for one, other in zip(a, b, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("alignment", "grid", "first_row"),
    [
        (1, (4, 6), [0, 1, 2, 3, 4, 5]),
        (4, (4, 8), [0, 1, 2, 3, 4, 5, 5, 5]),
        (1, (2, 3), [0.5, 2.5, 4.5]),
        (4, (1, 2), [1.5, 4.75]),
        (1, (8, 12), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]),
        (1, (1, 1), [2.5]),
    ],
)
def test_the_map_on_the_grid_of_a_layer(
    alignment: int, grid: tuple[int, int], first_row: list[float]
) -> None:
    network = tunable("delta", nn.Conv2d(3, 3, 1))
    ramp = torch.arange(6.0).expand(1, 2, 4, 6)
    c = OmegaMap(ramp, alignment).coefficients(make_basis("delta", network.space), *grid)
    assert c.shape == (1, 3, *grid)
    assert c[0, 1, 0].tolist() == first_row
    assert (c[:, 0] == 1).all()


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 2, 4, 4), "batch, height and width"),
        ((2, 2, 4, 5), "batch, height and width"),
        ((2, 3, 4, 4), "shape"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(shape: tuple[int, ...], words: str) -> None:
    network = tunable("delta", nn.Conv2d(3, 3, 1))
    with pytest.raises(OmegaError, match=words):
        network(torch.rand(2, 3, 4, 4), omega=torch.rand(shape))


def test_values_of_a_map_are_checked() -> None:
    with pytest.raises(OmegaError, match="finite"):
        tunable("delta", nn.Conv2d(3, 3, 1))(
            torch.rand(1, 3, 2, 2), omega=torch.full((1, 2, 2, 2), torch.nan)
        )
    with pytest.raises(OmegaError, match="sum to 1"):
        tunable("linear", nn.Conv2d(3, 3, 1))(torch.rand(1, 3, 2, 2), omega=torch.full((1, 2, 2, 2), 0.4))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (nn.Sequential(nn.Conv2d(3, 3, 1), nn.Linear(4, 4)), r"got 1 \(Linear\)"),
        (nn.Sequential(nn.Conv3d(3, 3, 1)), r"got 0 \(Conv3d\)"),
    ],
)
def test_layers_without_pixels_are_named(module: nn.Module, name: str) -> None:
    network = make_tunable(module, 2)
    with pytest.raises(ConversionError, match=name):
        network(torch.rand(1, 3, 4, 4), omega=torch.rand(1, 2, 4, 4))


USES: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "flatten": lambda m, x: x * m.scale.flatten().view(1, 3, 1, 1),
    "no one weight": lambda m, x: F.conv2d(x, m.conv.weight),
    "called as": lambda m, x: m.conv(input=x),
    "without hooks": lambda m, x: m.hooked(x),
}


class Used(nn.Module):
    """Uses its layers in ways that a map cannot follow."""

    def __init__(self, use: str) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 3, 1, 1))
        self.conv, self.hooked = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        if use == "without hooks":
            self.hooked.register_forward_hook(lambda _, __, output: 2 * output)
        self.use = use

    def forward(self, x: Tensor) -> Tensor:
        return USES[self.use](self, x)


class Asking(nn.Module):
    """Asks its layers for their form, not for values."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.conv = nn.Parameter(torch.ones(1, 3, 1, 1)), nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        like = next(self.parameters())
        x = x.to(like).to(self.conv.weight.dtype) + torch.zeros_like(like)
        y: Tensor = self.conv(x) if isinstance(self.conv, nn.Conv2d) else x
        return y * sum(p.numel() for p in self.parameters()) * self.scale


@pytest.mark.parametrize("basis", ["linear", "delta"])
def test_the_form_of_layers_may_be_asked_for(basis: BasisName) -> None:
    network = tunable(basis, Asking())
    x, omega = torch.rand(1, 3, 4, 4), omegas(network, 1)[0]
    torch.testing.assert_close(
        network(x, omega=omega.view(1, -1, 1, 1).expand(1, -1, 4, 4)), network(x, omega=omega)
    )


@pytest.mark.parametrize("use", USES)
def test_what_a_map_cannot_follow_is_refused_not_ignored(use: str) -> None:
    network = tunable("delta", Used(use))
    with pytest.raises(ConversionError, match=use):
        network(torch.rand(1, 3, 4, 4), omega=torch.rand(1, 2, 4, 4))
