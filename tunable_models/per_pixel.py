r"""One omega a pixel: a painted slider.

A tunable convolution is linear in its kernels, so with coefficients :math:`c_k(p)` that differ between
pixels its output is :math:`\sum_k c_k(p)\,(K_k * x)(p)`: K convolutions, exact. The map is resampled to
every layer's own grid: averaged over the stride, repeated where the layer is larger than the input.
After https://arxiv.org/abs/2304.00898 and the per-pixel control map of https://arxiv.org/abs/2203.09962.

Shapes: B samples, P controls, K kernels, map (B, P, H, W), layer output (B, O, h, w).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tunable_models.bases import Basis
from tunable_models.errors import ConversionError, OmegaError
from tunable_models.kernels import Kernels
from tunable_models.per_sample import convolve, is_channel_scale, pad

STRIDES = (1 / 8, 1 / 4, 1 / 3, 1 / 2, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0, 128.0)
"""Input pixels a layer's pixel may stand for; below 1 the layer is larger than the input."""


class OmegaMap:
    """Omega (B, P, H, W), on the grid of any layer.

    Args:
        omega: the map, as large as the network's input.
        alignment: the network pads its input at the lower and right borders to a multiple of this.
    """

    def __init__(self, omega: Tensor, alignment: int) -> None:
        height, width = omega.shape[-2:]
        self._omega = _extend(omega, 0, -height % alignment, 0, -width % alignment)
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
        sides = self._omega.shape[-2:]
        if (height, width) == (1, 1):  # after a global pooling: what counts there is the whole picture
            return self._omega.mean((-2, -1), keepdim=True)
        stride = min(STRIDES, key=lambda s: _misfit(s, sides, (height, width)))
        if stride < 1:
            times = round(1 / stride)
            finer = self._omega.repeat_interleave(times, -2).repeat_interleave(times, -1)
            return _fit(finer, height, width)
        step = int(stride)
        return F.avg_pool2d(_fit(self._omega, height * step, width * step), step)


def _misfit(stride: float, sides: torch.Size, grid: tuple[int, int]) -> float:
    return sum(abs(cells * stride - side) / side for side, cells in zip(sides, grid, strict=True))


def _fit(x: Tensor, height: int, width: int) -> Tensor:
    """Crop, or repeat the borders, around the centre."""
    down, across = height - x.shape[-2], width - x.shape[-1]
    return _extend(x, down // 2, down - down // 2, across // 2, across - across // 2)


def _extend(x: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    return F.pad(x, (left, right, top, bottom), mode="replicate") if any((top, bottom, left, right)) else x


def check_map(omega: Tensor, inputs: tuple[Any, ...]) -> None:
    """Refuse a map that does not lie on the network's input.

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
) -> tuple[nn.Module | None, dict[str, Any]]:
    """What stands for the module, and for its tensors, when omega differs between pixels.

    Returns:
        A module to use instead, or None to use a shell of this one; and the tensors to put there.

    Raises:
        ConversionError: a layer without pixels of its own, such as a linear layer on tokens.
    """
    if type(module) in (nn.Conv2d, nn.ConvTranspose2d):
        return PerPixelConv(module, kernels, basis, omega), {}
    scales = {name: k for name, k in kernels.items() if is_channel_scale(k.each()[0])}
    if len(scales) < len(kernels):
        raise ConversionError(
            f"a map of omega needs 2-D convolutions, {path or 'the network'} is {type(module).__name__}; use "
            "one omega a sample, or make it tunable with exclude= for such layers"
        )
    return None, {name: PerPixelScale.of(k, basis, omega) for name, k in scales.items()}


class PerPixelConv(nn.Module):
    """A convolution whose kernels every output pixel mixes for itself."""

    def __init__(
        self, source: nn.Module, kernels: Mapping[str, Kernels], basis: Basis, omega: OmegaMap
    ) -> None:
        super().__init__()
        # In a tuple: not submodules, only their settings.
        self._source, self._basis = (source,), (basis,)
        self._kernels, self._omega = kernels, omega

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x (B, I, H, W) with the kernels that each pixel mixes."""
        conv: Any = self._source[0]
        x = pad(conv, x)
        weights = self._each("weight")
        parts = [convolve(conv, x, weight, None, conv.groups) for weight in weights]
        c = self._omega.coefficients(self._basis[0], *parts[0].shape[-2:])
        y = _blend(parts, c)
        if conv.bias is None:
            return y
        biases = self._each("bias")
        return y + _blend([bias.view(1, -1, 1, 1) for bias in biases], c).to(y.dtype)

    def _each(self, name: str) -> list[Tensor]:
        """The kernels of a tensor; one that is not tunable stands alone."""
        if name in self._kernels:
            return self._kernels[name].each()
        return [self._source[0]._parameters[name]]  # type: ignore[list-item]


def _blend(parts: list[Tensor], coefficients: Tensor) -> Tensor:
    """The sum of (B, O, h, w) parts, weighed by coefficients (B, K, h, w); a single one as it is."""
    if len(parts) == 1:
        return parts[0]
    c = coefficients.to(torch.promote_types(parts[0].dtype, torch.float32))
    total = parts[0] * c[:, :1]
    for k, part in enumerate(parts[1:], 1):
        total = total + part * c[:, k : k + 1]
    return total.to(parts[0].dtype)


class PerPixelScale(Tensor):
    """A channel scale (1, C, 1, 1) that becomes (B, C, h, w) when it meets a tensor of that size."""

    _at: Any

    @classmethod
    def of(cls, kernels: Kernels, basis: Basis, omega: OmegaMap) -> "PerPixelScale":
        """The scale with these kernels."""
        each = kernels.each()
        scale = each[0].detach().as_subclass(cls)
        scale._at = lambda size: _blend(each, omega.coefficients(basis, *size))
        return scale

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Any operator: put the mixed scale of the other operand's size in this one's place."""
        kwargs = kwargs or {}
        values = [*args, *kwargs.values()]
        sizes = [
            v.shape[-2:] for v in values if isinstance(v, Tensor) and type(v) is not cls and v.dim() == 4
        ]

        def resolved(value: Any) -> Any:
            return value._at(sizes[0]) if type(value) is cls and sizes else value

        with torch._C.DisableTorchFunctionSubclass():
            result = function(*map(resolved, args), **{key: resolved(v) for key, v in kwargs.items()})
        if not sizes and isinstance(result, Tensor):
            raise ConversionError(
                f"a map of omega reaches a scale (1, C, 1, 1) only where it meets the picture, here it goes "
                f"through {function.__name__!r} first; make it tunable with exclude= for that scale"
            )
        return result
