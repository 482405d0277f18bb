r"""One omega a pixel: a painted slider.

A tunable convolution is linear in its kernels, so with coefficients :math:`c_k(p)` that differ between
pixels its output is :math:`\sum_k c_k(p)\,(K_k * x)(p)`: K convolutions, exact. The map is resampled to
every layer's own grid: averaged over the stride, repeated where the layer is larger than the input.
After https://arxiv.org/abs/2304.00898 and the per-pixel control map of https://arxiv.org/abs/2203.09962.

Shapes: B samples, P controls, K kernels, map (B, P, H, W), layer output (B, O, h, w).
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tunable_models._execution.kernels import Kernels
from tunable_models._execution.proxy_layers import ProxyLayer, blend_outputs, convolve, has_hooks, pad_input
from tunable_models._execution.proxy_tensors import ProxyTensor, is_channel_scale
from tunable_models._execution.rebind import Bound
from tunable_models.bases import Basis
from tunable_models.errors import ConversionError, OmegaError

FIT_PX = 16
"""A grid may lack or exceed this many pixels, cropped or padded around the centre: unpadded layers do."""


class OmegaMap:
    """Omega (B, P, H, W), on the grid of any layer.

    Args:
        omega: the map, as large as the network's input.
        alignment: the network pads its input at the lower and right borders to a multiple of this.
    """

    def __init__(self, omega: Tensor, alignment: int) -> None:
        height, width = omega.shape[-2:]
        self._omega = _pad_borders(omega, 0, -height % alignment, 0, -width % alignment)
        self._done: dict[tuple[Basis, int, int], Tensor] = {}

    def coefficients(self, basis: Basis, height: int, width: int) -> Tensor:
        """Coefficients (B, K, height, width) for a layer of that output size."""
        key = (basis, height, width)
        if key not in self._done:
            omega = self._on_grid(height, width).movedim(1, -1)
            with torch.autocast(omega.device.type, enabled=False):  # it would round them
                self._done[key] = basis(omega).movedim(-1, 1)
        return self._done[key]

    def _on_grid(self, height: int, width: int) -> Tensor:
        if (height, width) == (1, 1):  # after a global pooling: what counts there is the whole picture
            return self._omega.mean((-2, -1), keepdim=True)
        finer = self._omega
        for axis, cells in ((-2, height), (-1, width)):
            finer = finer.repeat_interleave(max(round(cells / finer.shape[axis]), 1), axis)
        steps = _pooling_steps(finer.shape[-2:], (height, width))
        fitted = height * steps[0], width * steps[1]
        if any(abs(a - b) > max(FIT_PX, b / 8) for a, b in zip(fitted, finer.shape[-2:], strict=True)):
            raise ConversionError(
                f"a map of omega fits layers whose grid is the input's times or over a whole number, got "
                f"{height}x{width} cells for {self._omega.shape[-2]}x{self._omega.shape[-1]} px; use one "
                "omega a sample"
            )
        return F.avg_pool2d(_fit_size(finer, *fitted), steps)


def _pooling_steps(sides: torch.Size, grid: tuple[int, int]) -> tuple[int, int]:
    """How many pixels a cell covers, down and across: the same for both if that explains the grid."""
    for step in range(1, max(sides) + 1):
        if all(-(-side // step) == cells for side, cells in zip(sides, grid, strict=True)):
            return step, step
    down, across = (max(round(side / cells), 1) for side, cells in zip(sides, grid, strict=True))
    return down, across


def _fit_size(x: Tensor, height: int, width: int) -> Tensor:
    """Crop, or repeat the borders, around the centre."""
    down, across = height - x.shape[-2], width - x.shape[-1]
    return _pad_borders(x, down // 2, down - down // 2, across // 2, across - across // 2)


def _pad_borders(x: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    return F.pad(x, (left, right, top, bottom), mode="replicate") if any((top, bottom, left, right)) else x


def check_map(omega: Tensor, inputs: tuple[Any, ...]) -> None:
    """Refuse a map that does not fit the network's input.

    Raises:
        OmegaError: the first input is no (B, C, H, W) tensor of the map's batch, height and width.
    """
    shape = tuple(inputs[0].shape) if inputs and isinstance(inputs[0], Tensor) else ()
    if len(shape) != 4 or (shape[0], *shape[2:]) != (omega.shape[0], *omega.shape[2:]):
        raise OmegaError(
            f"a map of omega must have its input's batch, height and width, got {tuple(omega.shape)} for "
            f"an input of shape {shape}"
        )


def bind_per_pixel(
    module: nn.Module, path: str, kernels: Mapping[str, Kernels], basis: Basis, omega: OmegaMap
) -> Bound:
    """The module with kernels that differ between pixels.

    Raises:
        ConversionError: a layer without pixels of its own, such as a linear layer on tokens.
    """
    where = f"{path or 'the network'} ({type(module).__name__})"
    if type(module) in (nn.Conv2d, nn.ConvTranspose2d) and not has_hooks(module):
        return _proxy_convolution(module, where, kernels, basis, omega)
    if not all(is_channel_scale(module, kernel.form) for kernel in kernels.values()):
        raise ConversionError(
            f"a map of omega needs 2-D convolutions without hooks, got {where}; use one omega a sample, or "
            "make it tunable with exclude= for such layers"
        )
    return {name: _proxy_scale(kernel, where, basis, omega) for name, kernel in kernels.items()}


def _proxy_scale(kernel: Kernels, where: str, basis: Basis, omega: OmegaMap) -> ProxyTensor:
    """A scale (1, C, 1, 1) that is (B, C, h, w) where it meets a picture of that size."""
    each = kernel.each()

    def become(picture: Tensor) -> Tensor:
        return _blend_parts(each, omega.coefficients(basis, *picture.shape[-2:]))

    def refusal(name: str) -> Exception:
        return ConversionError(
            f"a map of omega reaches a scale (1, C, 1, 1) only where it meets the picture, in {where} it "
            f"goes through {name!r} first; make it tunable with exclude= for that scale"
        )

    return ProxyTensor.of(kernel.form, refusal, become)


def _proxy_convolution(
    conv: nn.Module, where: str, kernels: Mapping[str, Kernels], basis: Basis, omega: OmegaMap
) -> "PerPixelConv":
    def refusal(_: str) -> Exception:
        return ConversionError(
            f"with a map of omega {where} has no one weight, and is called as layer(x); use one omega a "
            "sample, or make it tunable with exclude= for that layer"
        )

    shown = {name: ProxyTensor.of(kernel.form, refusal) for name, kernel in kernels.items()}
    return PerPixelConv.of(conv, shown, kernels=kernels, basis=basis, omega=omega, refusal=refusal)


class PerPixelConv(ProxyLayer):
    """A convolution whose kernels every output pixel mixes for itself.

    Attributes:
        kernels: of its tunable tensors.
        basis: gives their coefficients.
        omega: the map.
        refusal: the error for a call that is not ``layer(x)``.
    """

    kernels: Mapping[str, Kernels]
    basis: Basis
    omega: OmegaMap
    refusal: Callable[[str], Exception]

    def forward(self, *inputs: Tensor, **options: object) -> Tensor:
        """Convolve x (B, I, H, W) with the kernels that each pixel mixes."""
        if len(inputs) != 1 or options:
            raise self.refusal("forward")
        conv = self.source
        x = pad_input(conv, inputs[0])
        parts = [convolve(conv, x, weight, None, conv.groups) for weight in self._each("weight")]
        c = self.omega.coefficients(self.basis, *parts[0].shape[-2:])
        y = _blend_parts(parts, c)
        if conv.bias is None:
            return y
        biases = [bias.view(1, -1, 1, 1) for bias in self._each("bias")]
        return y + _blend_parts(biases, c).to(y.dtype)

    def _each(self, name: str) -> list[Tensor]:
        """The kernels of a tensor; a plain tensor is the only one."""
        if name in self.kernels:
            return self.kernels[name].each()
        return [self.source._parameters[name]]


def _blend_parts(parts: list[Tensor], coefficients: Tensor) -> Tensor:
    """The sum of (B, O, h, w) parts, weighed by coefficients (B, K, h, w); a single one as it is."""
    return parts[0] if len(parts) == 1 else blend_outputs(parts, coefficients)
