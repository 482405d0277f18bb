"""Explicit tunable layers for hand-built networks: ``layer(x, omega)``.

Each is a plain torch layer made tunable, so that there is one mixing code; it starts as that layer's own
initialisation at every omega. After https://arxiv.org/abs/2304.00898.
"""

from typing import Any

import torch
from torch import Tensor, nn

from tunable_models.bases import BasisName
from tunable_models.controls import ControlSpace
from tunable_models.errors import OmegaError
from tunable_models.network import TunableNetwork
from tunable_models.spec import NetworkSpec

Size = int | tuple[int, ...]


class TunableLayer(TunableNetwork):
    """What the explicit layers with an input have in common."""

    def forward(self, x: Tensor, omega: Tensor) -> Tensor:  # type: ignore[override]
        """The plain layer with the kernels mixed at omega.

        Args:
            x: (B, I, ...), as the plain layer takes it.
            omega: (P,), (B, P) or, for 2-D convolutions, a map (B, P, H, W) as large as x.
        """
        output: Tensor = super().forward(x, omega=omega)
        return output


class _TunableConvolution(TunableLayer):
    plain: type[nn.Module]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        *,
        controls: ControlSpace | int,
        basis: BasisName = "delta",
        rank: int | None = None,
        **options: Any,
    ) -> None:
        layer = self.plain(in_channels, out_channels, kernel_size, **options)
        super().__init__(layer, NetworkSpec.of(layer, controls, basis, rank=rank))


class TunableConv1d(_TunableConvolution):
    """A tunable :class:`torch.nn.Conv1d`; arguments as :class:`TunableConv2d`.

    Example:
        >>> layer = TunableConv1d(3, 8, 3, controls=2, padding=1)
        >>> layer(torch.rand(4, 3, 16), torch.rand(4, 2)).shape
        torch.Size([4, 8, 16])
    """

    plain = nn.Conv1d


class TunableConv2d(_TunableConvolution):
    """A tunable :class:`torch.nn.Conv2d`.

    Args:
        in_channels: of the input (B, in_channels, H, W).
        out_channels: of the output.
        kernel_size: in pixels.
        controls: control space, or a number of unnamed box controls.
        basis: how omega blends the kernels; ``linear`` needs a simplex.
        rank: of the deltas; None is full rank.
        **options: of the plain layer.

    Example:
        >>> layer = TunableConv2d(3, 8, 3, controls=2, padding=1)
        >>> layer(torch.rand(4, 3, 16, 16), torch.rand(4, 2)).shape
        torch.Size([4, 8, 16, 16])
    """

    plain = nn.Conv2d


class TunableConv3d(_TunableConvolution):
    """A tunable :class:`torch.nn.Conv3d`; arguments as :class:`TunableConv2d`.

    Example:
        >>> layer = TunableConv3d(3, 8, 3, controls=2, padding=1)
        >>> layer(torch.rand(4, 3, 4, 8, 8), torch.rand(2)).shape
        torch.Size([4, 8, 4, 8, 8])
    """

    plain = nn.Conv3d


class TunableConvTranspose1d(_TunableConvolution):
    """A tunable :class:`torch.nn.ConvTranspose1d`; arguments as :class:`TunableConv2d`.

    Example:
        >>> layer = TunableConvTranspose1d(3, 8, 2, controls=2, stride=2)
        >>> layer(torch.rand(4, 3, 8), torch.rand(4, 2)).shape
        torch.Size([4, 8, 16])
    """

    plain = nn.ConvTranspose1d


class TunableConvTranspose2d(_TunableConvolution):
    """A tunable :class:`torch.nn.ConvTranspose2d`; arguments as :class:`TunableConv2d`.

    Example:
        >>> layer = TunableConvTranspose2d(3, 8, 2, controls=2, stride=2)
        >>> layer(torch.rand(4, 3, 8, 8), torch.rand(4, 2)).shape
        torch.Size([4, 8, 16, 16])
    """

    plain = nn.ConvTranspose2d


class TunableConvTranspose3d(_TunableConvolution):
    """A tunable :class:`torch.nn.ConvTranspose3d`; arguments as :class:`TunableConv2d`.

    Example:
        >>> layer = TunableConvTranspose3d(3, 8, 2, controls=2, stride=2)
        >>> layer(torch.rand(4, 3, 2, 8, 8), torch.rand(2)).shape
        torch.Size([4, 8, 4, 16, 16])
    """

    plain = nn.ConvTranspose3d


class TunableLinear(TunableLayer):
    """A tunable :class:`torch.nn.Linear` on (B, ..., in_features).

    Args:
        in_features: size of the input's last dimension.
        out_features: size of the output's last dimension.
        controls: control space, or a number of unnamed box controls.
        basis: how omega blends the weights; ``linear`` needs a simplex.
        rank: of the deltas; None is full rank.
        **options: of ``torch.nn.Linear``.

    Example:
        >>> layer = TunableLinear(6, 4, controls=2, rank=1)
        >>> layer(torch.rand(5, 7, 6), torch.rand(5, 2)).shape
        torch.Size([5, 7, 4])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        controls: ControlSpace | int,
        basis: BasisName = "delta",
        rank: int | None = None,
        **options: Any,
    ) -> None:
        layer = nn.Linear(in_features, out_features, **options)
        super().__init__(layer, NetworkSpec.of(layer, controls, basis, rank=rank))


class Value(nn.Module):
    """A free parameter as a module: what a :class:`TunableParameter` is at one setting."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = nn.Parameter(value.detach().clone())

    def forward(self) -> Tensor:
        """The parameter."""
        return self.value


class TunableParameter(TunableNetwork):
    """A tunable free parameter, such as a scale or a table of positions: ``parameter(omega)``.

    Args:
        value: what it starts as, (*shape).
        controls: control space, or a number of unnamed box controls.
        basis: how omega blends the values; ``linear`` needs a simplex.
        rank: of the deltas, seen as matrices of the first dimension by the rest; None is full rank.

    Example:
        >>> scale = TunableParameter(torch.ones(8, 1, 1), controls=2)
        >>> scale(torch.rand(2)).shape, scale(torch.rand(4, 2)).shape
        (torch.Size([8, 1, 1]), torch.Size([4, 8, 1, 1]))
    """

    def __init__(
        self,
        value: Tensor,
        *,
        controls: ControlSpace | int,
        basis: BasisName = "delta",
        rank: int | None = None,
    ) -> None:
        parameter = Value(value)
        super().__init__(parameter, NetworkSpec.of(parameter, controls, basis, rank=rank))

    def forward(self, omega: Tensor) -> Tensor:  # type: ignore[override]
        """The value mixed at omega: (*shape) at (P,), (B, *shape) at (B, P)."""
        if omega.dim() > 2:
            raise OmegaError(f"a parameter takes omega (P,) or (B, P), got {tuple(omega.shape)}")
        if torch.compiler.is_compiling():
            self.space.check_form(omega)
        else:
            self.space.check(omega, device=self.device)
        return self.mixed(omega)[""]["value"]
