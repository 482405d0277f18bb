"""Channel scales (1, C, 1, 1) that differ between samples or pixels.

Such a free parameter of a convolutional network multiplies or shifts a picture's channels. Only where it
meets the picture is it known how large the scale must be, so until then something stands for it that
knows how to become it, and that refuses whatever else is done to it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tunable_models.kernels import CONVOLUTIONS

_ELEMENTWISE = {
    f"{prefix}{name}{suffix}"
    for name in ("add", "sub", "mul", "div", "truediv", "true_divide", "addcmul")
    for prefix, suffix in (("", ""), ("", "_"), ("__", "__"), ("__r", "__"), ("__i", "__"))
}


def is_channel_scale(module: Any, tensor: Tensor) -> bool:
    """Whether a parameter of this module has the form of a channel scale, and is no convolution's kernel."""
    fits = tensor.dim() == 4 and tensor.shape[0] == 1 and tensor.shape[2:] == (1, 1)
    return fits and not isinstance(module, CONVOLUTIONS)


class MixedScale(Tensor):
    """Stands for a channel scale until it meets a picture (B, C, H, W)."""

    _become: Callable[[Tensor], Tensor]
    _refusal: Callable[[str], Exception]

    @classmethod
    def of(
        cls, base: Tensor, become: Callable[[Tensor], Tensor], refusal: Callable[[str], Exception]
    ) -> "MixedScale":
        """A stand-in.

        Args:
            base: (1, C, 1, 1): shape, type and device of the parameter.
            become: the scale for a picture.
            refusal: the error for an operation, named, that is not elementwise with a picture.
        """
        scale = base.detach().as_subclass(cls)
        scale._become, scale._refusal = become, refusal
        return scale

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Elementwise with a picture: put the mixed scale in this one's place."""
        kwargs = kwargs or {}
        values = [*args, *kwargs.values()]
        scale = next(v for v in values if type(v) is cls)
        pictures = [v for v in values if isinstance(v, Tensor) and type(v) is not cls and v.dim() == 4]
        elementwise = getattr(function, "__name__", "") in _ELEMENTWISE and len(pictures) > 0

        def resolved(value: Any) -> Any:
            return value._become(pictures[0]) if elementwise and type(value) is cls else value

        with torch._C.DisableTorchFunctionSubclass():
            result = function(*map(resolved, args), **{key: resolved(v) for key, v in kwargs.items()})
        if not elementwise and isinstance(result, Tensor):  # its shape or type may be asked for
            raise scale._refusal(getattr(function, "__name__", str(function)))
        return result
