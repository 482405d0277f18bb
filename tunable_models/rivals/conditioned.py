"""Methods that put omega into the network as an input, and are trained at omegas that are drawn.

They take any number of sliders: FiLM (YOTO), planes beside the picture (FFDNet), scaled residuals (CResMD).
"""

from torch import Tensor, nn

from tunable_models.controls import ControlSpace
from tunable_models.rivals import places
from tunable_models.rivals.method import ConditionedLayer, ControlMethod, Phase

HIDDEN = 32
"""Width of the hidden layer between omega and the scale and shift of a layer's channels."""


class Conditioned(ControlMethod):
    """What they have in common: any space, and one phase at omegas that the run draws."""

    def check_space(self, space: ControlSpace) -> None:
        """Any space will do."""

    def phases(self, space: ControlSpace) -> tuple[Phase, ...]:
        """One, of all parameters."""
        del space
        return (Phase(),)


class FiLM(Conditioned):
    """A scale and a shift of the features behind every convolution of the blocks, from a small network.

    Dosovitskiy and Djolonga, "You Only Train Once: Loss-Conditional Training of Deep Networks", ICLR 2020,
    https://openreview.net/forum?id=HyxY6JHKwr; Perez et al., https://arxiv.org/abs/1709.07871.

    Example:
        >>> network = make_tunable(build("edsr", width=8, blocks=1), controls=2, method="film")
        >>> network(torch.rand(2, 3, 8, 8), omega=torch.rand(2, 2)).shape
        torch.Size([2, 3, 8, 8])
    """

    def adapt(self, network: nn.Module, space: ControlSpace) -> nn.Module:
        """Put scale and shift behind every convolution; they start as 1 and 0."""
        for path in places.list_features(network):
            layer = network.get_submodule(path)
            places.replace_module(network, path, ScaledAndShifted(layer, space))
        return network


class NoiseMap(Conditioned):
    """Constant planes of omega beside the picture, one for each slider, which the first convolution sees.

    Zhang et al., "FFDNet: Toward a Fast and Flexible Solution for CNN based Image Denoising", TIP 2018,
    https://arxiv.org/abs/1710.04026. A convolution of picture and planes together is the sum of one of each.
    """

    def adapt(self, network: nn.Module, space: ControlSpace) -> nn.Module:
        """Put a convolution of the planes beside the first one; it starts at zero."""
        what = "a first convolution that no norm follows"
        path = places.find_first(network, places.find_places(network).head, what)
        places.replace_module(network, path, WithPlanes(network.get_submodule(path), space))
        return network


class CResMD(Conditioned):
    """Factors of each channel of every residual branch, and of the whole correction, linear in omega.

    He et al., "Interactive Multi-Dimension Modulation with Dynamic Controllable Residual Learning for Image
    Restoration", ECCV 2020, https://arxiv.org/abs/1912.05293.
    """

    def adapt(self, network: nn.Module, space: ControlSpace) -> nn.Module:
        """Put the factors behind every branch and behind the last convolution; they start as 1."""
        what = "a last convolution"
        tail = places.find_first(network, places.find_places(network).tail, what)
        for path in [*places.list_branches(network), tail]:
            places.replace_module(network, path, Scaled(network.get_submodule(path), space))
        return network


class ScaledAndShifted(ConditionedLayer):
    """A layer with (1 + scale) * y + shift for its output y (B, C, H, W)."""

    def __init__(self, layer: nn.Module, space: ControlSpace) -> None:
        super().__init__(layer, space)
        last = nn.Linear(HIDDEN, 2 * places.count_channels(layer))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.added = nn.Sequential(nn.Linear(len(space), HIDDEN), nn.ReLU(), last)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output at x, scaled and shifted."""
        both: Tensor = self.added(self.condition)
        scale, shift = both[:, None, None].chunk(2)
        y: Tensor = self.layer(x)
        return y + scale * y + shift


class WithPlanes(ConditionedLayer):
    """A convolution of x (B, C, H, W) and of constant planes of omega (P, H, W)."""

    def __init__(self, layer: nn.Module, space: ControlSpace) -> None:
        super().__init__(layer, space)
        assert isinstance(layer, nn.Conv2d)
        self.added = nn.Conv2d(
            len(space),
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            layer.stride,  # type: ignore[arg-type]
            layer.padding,  # type: ignore[arg-type]
            layer.dilation,  # type: ignore[arg-type]
            bias=False,
            padding_mode=layer.padding_mode,
        )
        nn.init.zeros_(self.added.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, C', H, W)."""
        planes = self.condition[:, None, None].expand(1, -1, *x.shape[-2:])
        y: Tensor = self.layer(x) + self.added(planes)
        return y


class Scaled(ConditionedLayer):
    """A layer whose output y (B, C, H, W) is scaled channel by channel, by factors linear in omega."""

    def __init__(self, layer: nn.Module, space: ControlSpace) -> None:
        super().__init__(layer, space)
        self.added = nn.Linear(len(space), places.count_channels(layer))
        nn.init.zeros_(self.added.weight)
        nn.init.ones_(self.added.bias)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output at x, scaled."""
        factors: Tensor = self.added(self.condition)
        y: Tensor = self.layer(x)
        return y * factors[:, None, None]
