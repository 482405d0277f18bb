"""A network at one setting."""

from collections.abc import Mapping
from typing import Any

from torch import nn


class View:
    """A network at one setting: the source's forward, nothing to turn, safe to share between threads.

    For inference: the kernels are mixed once, without gradients, so take a new view after training on.

    Example:
        >>> view = make_tunable(nn.Conv2d(3, 3, 1), ControlSpace.box("denoise")).at(denoise=0.25)
        >>> view, view(torch.rand(1, 3, 4, 4)).shape
        (View(denoise=0.25), torch.Size([1, 3, 4, 4]))
    """

    def __init__(self, values: Mapping[str, float], module: nn.Module) -> None:
        self.values = values
        self._module = module

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """The source's forward."""
        return self._module(*inputs, **options)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value:g}" for name, value in self.values.items())
        return f"View({values})"
