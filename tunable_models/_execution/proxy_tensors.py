"""Proxies for tensors that differ between samples or pixels, where a forward expects a single one.

Shape, type and device can be read; there is no single value. A channel scale (1, C, 1, 1) of a
convolutional network multiplies or shifts a picture's channels: where it meets the picture it is known how
large the scale must be, so a proxy takes its place until then, and refuses any other operation.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from tunable_models._execution.kernels import CONVOLUTIONS

_ELEMENTWISE = {
    f"{prefix}{name}{suffix}"
    for name in ("add", "sub", "mul", "div", "truediv", "true_divide", "addcmul")
    for prefix, suffix in (("", ""), ("", "_"), ("__", "__"), ("__r", "__"), ("__i", "__"))
}
# Properties, and what says no more than they do. A number may also be a value, as of item().
_FORM = {"__get__", "__hash__", "__len__", "size", "dim", "ndimension", "numel", "nelement", "stride"} | {
    "element_size", "get_device", "is_complex", "is_contiguous", "is_floating_point", "is_signed"
}  # fmt: skip
# What takes from its first argument only the form, or from its second.
_MADE_LIKE = {"new_empty", "new_full", "new_ones", "new_tensor", "new_zeros"} | {
    f"{name}_like" for name in ("empty", "full", "ones", "rand", "randn", "zeros")
}
_CAST_LIKE = {"expand_as", "reshape_as", "to", "type_as", "view_as"}


def is_channel_scale(module: Any, tensor: Tensor) -> bool:
    """Whether a parameter of this module has the form of a channel scale, and is no convolution's kernel."""
    fits = tensor.dim() == 4 and tensor.shape[0] == 1 and tensor.shape[2:] == (1, 1)
    return fits and not isinstance(module, CONVOLUTIONS)


class ProxyTensor(Tensor):
    """Proxy of a tensor; that of a channel scale is resolved where it meets a picture (B, C, H, W)."""

    _become: Callable[[Tensor], Tensor] | None
    _refusal: Callable[[str], Exception]

    @classmethod
    def of(
        cls,
        form: Tensor,
        refusal: Callable[[str], Exception],
        become: Callable[[Tensor], Tensor] | None = None,
    ) -> "ProxyTensor":
        """The proxy of a tensor.

        Args:
            form: shape, type and device of the parameter.
            refusal: the error for an operation, named, that needs its values.
            become: of a channel scale: the scale for a picture that it is elementwise with.
        """
        varied = form.detach().as_subclass(cls)
        varied._become, varied._refusal = become, refusal
        return varied

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Answer from the form, or substitute the scale for a picture."""
        kwargs = kwargs or {}
        name = getattr(function, "__name__", str(function))
        values = [*args, *kwargs.values()]
        varied = next(_find_proxies(values))
        pictures = [v for v in values if isinstance(v, Tensor) and type(v) is not cls and v.dim() == 4]
        become = varied._become if name in _ELEMENTWISE and pictures else None

        def resolved(value: Any) -> Any:
            if become is None or type(value) is not cls:
                return value
            if value._become is None:
                raise value._refusal(name)
            return value._become(pictures[0])

        places = [
            place for place, value in enumerate(values) if next(_find_proxies([value]), None) is not None
        ]
        by_form = (places == [0] and name in _MADE_LIKE | _FORM) or (places == [1] and name in _CAST_LIKE)
        if become is None and not by_form:
            raise varied._refusal(name)
        with torch._C.DisableTorchFunctionSubclass():
            result = function(*map(resolved, args), **{key: resolved(v) for key, v in kwargs.items()})
        if name in _FORM and isinstance(result, Tensor):  # a property such as .data or .T
            raise varied._refusal(name)
        return result


def _find_proxies(values: Any) -> Iterator[ProxyTensor]:
    for value in values:
        if type(value) is ProxyTensor:
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _find_proxies(value)
