"""Explicit tunable layers for hand-built networks: ``layer(x, omega)``.

Each is a plain torch layer made tunable, so that there is one mixing code. K kernels start equal to
the plain layer's own initialisation.
"""

from typing import Any

from torch import Tensor, nn

from tunable_models.bases import BasisName
from tunable_models.controls import ControlSpace
from tunable_models.network import TunableNetwork


class _TunableLayer(TunableNetwork):
    def forward(self, x: Tensor, omega: Tensor) -> Tensor:  # type: ignore[override]
        """The plain layer with the kernels mixed at omega (P,) or (B, P)."""
        output: Tensor = super().forward(x, omega=omega)
        return output


class TunableConv2d(_TunableLayer):
    """A tunable :class:`torch.nn.Conv2d`, https://arxiv.org/abs/2304.00898.

    Args:
        in_channels: of the input (B, in_channels, H, W).
        out_channels: of the output.
        kernel_size: in pixels.
        controls: control space, or a number of unnamed box controls.
        basis: how omega blends the kernels; ``linear`` needs a simplex.
        **options: of ``torch.nn.Conv2d``.

    Example:
        >>> import torch
        >>> layer = TunableConv2d(3, 8, 3, controls=2, padding=1)
        >>> layer(torch.rand(4, 3, 16, 16), torch.rand(4, 2)).shape
        torch.Size([4, 8, 16, 16])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        *,
        controls: ControlSpace | int,
        basis: BasisName = "delta",
        **options: Any,
    ) -> None:
        super().__init__(nn.Conv2d(in_channels, out_channels, kernel_size, **options), controls, basis)


class TunableConvTranspose2d(_TunableLayer):
    """A tunable :class:`torch.nn.ConvTranspose2d`; arguments as :class:`TunableConv2d`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        *,
        controls: ControlSpace | int,
        basis: BasisName = "delta",
        **options: Any,
    ) -> None:
        layer = nn.ConvTranspose2d(in_channels, out_channels, kernel_size, **options)
        super().__init__(layer, controls, basis)


class TunableLinear(_TunableLayer):
    """A tunable :class:`torch.nn.Linear` on (B, ..., in_features).

    Args:
        in_features: size of the input's last dimension.
        out_features: size of the output's last dimension.
        controls: control space, or a number of unnamed box controls.
        basis: how omega blends the weights; ``linear`` needs a simplex.
        **options: of ``torch.nn.Linear``.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        controls: ControlSpace | int,
        basis: BasisName = "delta",
        **options: Any,
    ) -> None:
        super().__init__(nn.Linear(in_features, out_features, **options), controls, basis)
