"""Methods with one slider that are trained at its two ends alone: DNI, AdaFM, CFSNet, Dynamic-Net.

A network is trained at the first end, on a box the upper one, where most is to be restored. Then it is kept,
and what the method added learns the other end. Between them nothing is trained.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from tunable_models.bases import Basis
from tunable_models.controls import ControlSpace
from tunable_models.errors import ConversionError
from tunable_models.rivals import places
from tunable_models.rivals.method import ConditionedLayer, ControlMethod, Phase


class TwoEnds(ControlMethod):
    """What they have in common: the space, and the phases of a training."""

    def check_space(self, space: ControlSpace) -> None:
        """Refuse all but one slider: a box of one control, or a simplex of two."""
        if len(space.vertices) != 2:
            raise ConversionError(
                f"expected one slider with two ends, a box of one control or a simplex of two, got a "
                f"{space.kind} of {len(space)}; methods 'film', 'noise-map' and 'cresmd' take several"
            )

    def make_basis(self, space: ControlSpace) -> Basis:
        """A base for the first end and a delta for the other."""
        del space
        return FromFirstEnd()

    def phases(self, space: ControlSpace) -> tuple[Phase, ...]:
        """Half of the steps at each end."""
        first, second = sorted(space.vertices, reverse=True)
        return Phase(share=0.5, at=first, trained="source"), Phase(share=0.5, at=second, trained="added")


class FromFirstEnd(Basis):
    """Coefficients 1 and 1 - omega: a base at the first end, and a delta to the other."""

    kernels = 2
    has_base = True

    def forward(self, omega: Tensor) -> Tensor:
        """Coefficients (..., 2) of omega (..., P)."""
        first = omega[..., :1]
        return torch.cat([torch.ones_like(first), 1 - first], dim=-1)


class DNI(TwoEnds):
    """Deep network interpolation: a network and one fine-tuned from it, averaged tensor by tensor.

    Wang et al., "Deep Network Interpolation for Continuous Imagery Effect Transition", CVPR 2019,
    https://arxiv.org/abs/1811.10515. Norms are averaged too.

    Example:
        >>> network = make_tunable(nn.Conv2d(3, 3, 1), ControlSpace.box("noise"), method="dni")
        >>> network.tunable_names
        ['weight', 'bias']
    """

    include = ("*",)

    def adapt(self, network: nn.Module, space: ControlSpace) -> nn.Module:
        """The network as it is: its own tensors are mixed, and the deltas lead to the second network's."""
        del space
        return network

    def is_added(self, name: str) -> bool:
        """Whether it is a delta."""
        return name.endswith("_deltas")


class AdaFM(TwoEnds):
    """Features behind every convolution of the blocks, changed by a 1x1 depthwise convolution.

    He et al., "Modulating Image Restoration with Continual Levels via Adaptive Feature Modification Layers",
    CVPR 2019, https://arxiv.org/abs/1904.08118: y + position * g(y) in place of y; the position is 0 at the
    first end and 1 at the other.
    """

    def adapt(self, network: nn.Module, space: ControlSpace) -> nn.Module:
        """Put a modification behind every convolution, zero at the start."""
        for path in places.list_features(network):
            layer = network.get_submodule(path)
            places.replace_module(network, path, ModifiedFeatures(layer, space))
        return network


class CFSNet(TwoEnds):
    """A tuning branch beside every residual block, coupled to it channel by channel.

    Wang et al., "CFSNet: Toward a Controllable Feature Space for Image Restoration", ICCV 2019,
    https://arxiv.org/abs/1904.00634: (1 - a) R(x) + a T(x) in place of R(x), where a = position * c and c is
    learned. The released coupling network is a chain of linear layers without biases on a constant vector,
    which is such a product; it is kept as the vector c. The upsampler of super-resolution is not coupled.
    """

    def adapt(self, network: nn.Module, space: ControlSpace) -> nn.Module:
        """Put a branch beside every block; the coupling starts at zero."""
        for path in places.list_map_blocks(network):
            block = network.get_submodule(path)
            places.replace_module(network, path, CoupledBlock(block, space))
        return network


class DynamicNet(TwoEnds):
    """Tuning blocks behind some residual blocks, which add position * phi(x).

    Shoshan et al., "Dynamic-Net: Tuning the Objective Without Re-training for Synthesis Tasks", ICCV 2019,
    https://arxiv.org/abs/1811.08760. Three tuning blocks, evenly among the residual blocks; they repeat the
    border where the original mirrors it, which features of one pixel could not.
    """

    count = 3
    reach = 3 * count

    def adapt(self, network: nn.Module, space: ControlSpace) -> nn.Module:
        """Put the tuning blocks in; they start at zero."""
        paths = places.list_map_blocks(network)
        count = min(self.count, len(paths))
        chosen = [paths[(2 * index + 1) * len(paths) // (2 * count)] for index in range(count)]
        for path in chosen:
            block = network.get_submodule(path)
            places.replace_module(network, path, TunedBlock(block, space))
        return network


class PositionedLayer(ConditionedLayer):
    """A layer that depends on where the slider is."""

    @property
    def position(self) -> Tensor:
        """From 0 at the first end to 1 at the other, a scalar."""
        return 1 - self.condition[0]


class ModifiedFeatures(PositionedLayer):
    """A layer with y + position * g(y) for its output y (B, C, H, W)."""

    def __init__(self, layer: nn.Module, space: ControlSpace) -> None:
        super().__init__(layer, space)
        channels = places.count_channels(layer)
        self.added = nn.Conv2d(channels, channels, 1, groups=channels)
        for parameter in self.added.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output at x, modified."""
        y: Tensor = self.layer(x)
        change: Tensor = self.added(y)
        return y + self.position * change


class CoupledBlock(PositionedLayer):
    """A block R and a branch T: (1 - a) R(x) + a T(x), a = position * c."""

    def __init__(self, layer: nn.Module, space: ControlSpace) -> None:
        super().__init__(layer, space)
        self.added = TuningBranch(places.count_inputs(layer))

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, C, H, W) to the same."""
        main: Tensor = self.layer(x)
        share = self.position * self.added.coupling
        difference: Tensor = self.added(x) - main
        return main + share.to(main.dtype) * difference


class TuningBranch(nn.Module):
    """Convolution, ReLU, convolution without biases, and how strongly each channel is coupled."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = _make_branch(width, 2, bias=False)
        self.coupling = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, C, H, W) to the same."""
        y: Tensor = self.layers(x)
        return y


class TunedBlock(PositionedLayer):
    """A block with a tuning block behind: y + position * phi(y)."""

    def __init__(self, layer: nn.Module, space: ControlSpace) -> None:
        super().__init__(layer, space)
        self.added = _make_branch(places.count_inputs(layer), 3, bias=True, repeat_border=True)
        for parameter in self.added[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, C, H, W) to the same."""
        y: Tensor = self.layer(x)
        change: Tensor = self.added(y)
        return y + self.position * change


BRANCH_GAIN = 0.1
"""Strength of a fresh branch beside He's initialisation, as in CFSNet's released code."""


def _make_branch(width: int, count: int, *, bias: bool, repeat_border: bool = False) -> nn.Sequential:
    """As many 3x3 convolutions with a ReLU between each two."""
    layers: list[nn.Module] = []
    for index in range(count):
        border: Literal["replicate", "zeros"] = "replicate" if repeat_border else "zeros"
        layer = nn.Conv2d(width, width, 3, padding=1, bias=bias, padding_mode=border)
        # Uniform: on the meta device a normal draw imports torch's compiler, which takes seconds.
        bound = BRANCH_GAIN * (6 / (9 * width)) ** 0.5
        nn.init.uniform_(layer.weight, -bound, bound)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        layers += [nn.ReLU()] * bool(index) + [layer]
    return nn.Sequential(*layers)
