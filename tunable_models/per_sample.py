"""One omega a sample: layers whose kernels have a leading batch dimension.

Samples become groups of one grouped convolution: (B, I, ...) is viewed as (1, B*I, ...), and every group
meets its own kernel (the published layer's form, https://arxiv.org/abs/2304.00898).
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from tunable_models.kernels import CONVOLUTIONS
from tunable_models.shells import Bound
from tunable_models.stand_in import StandIn, convolve, has_hooks, pad
from tunable_models.varied import Varied, is_channel_scale


class BatchMovedError(Exception):
    """Internal: something is not used as one layer on a batch, so samples must run one omega at a time."""


def runs_per_sample(module: nn.Module, name: str) -> bool:
    """Whether this tensor of the module can differ between the samples of one call.

    A convolution's can, and a channel scale (1, C, 1, 1) of a convolutional network.
    """
    if type(module) in CONVOLUTIONS:
        return not has_hooks(module)
    tensor = module._parameters[name]
    return tensor is not None and is_channel_scale(module, tensor)


def bind_per_sample(module: nn.Module, mixed: Mapping[str, Tensor]) -> Bound:
    """The module with kernels (B, ...) that differ between samples."""
    if type(module) in CONVOLUTIONS:
        shown = {name: Varied.of(tensor[0], _moved) for name, tensor in mixed.items()}
        return PerSampleConv.of(module, shown, tensors=mixed)
    return {name: _scale(tensor) for name, tensor in mixed.items()}


def _moved(_: str) -> BatchMovedError:
    return BatchMovedError()


def _scale(mixed: Tensor) -> Varied:
    """A scale (B, 1, C, 1, 1) that is (B, C, 1, 1) where it meets B pictures."""

    def become(picture: Tensor) -> Tensor:
        if picture.shape[0] != len(mixed):
            raise BatchMovedError
        return mixed.squeeze(1)

    return Varied.of(mixed[0], _moved, become)


class PerSampleConv(StandIn):
    """A convolution with one kernel a sample, as one grouped convolution.

    Attributes:
        tensors: those that are tunable, (B, ...); the others are the same for all samples.
    """

    tensors: Mapping[str, Tensor]

    def forward(self, *inputs: Tensor, **options: object) -> Tensor:
        """Convolve sample b of x (B, I, ...) with kernel b."""
        conv = self.source
        batch = len(next(iter(self.tensors.values())))
        if len(inputs) != 1 or options or inputs[0].dim() != conv.weight.dim() or len(inputs[0]) != batch:
            raise BatchMovedError
        x = inputs[0]
        weight, bias = self._of("weight", batch), self._of("bias", batch)
        x = pad(conv, x)
        flat = None if bias is None else bias.flatten()
        y = convolve(conv, x.reshape(1, -1, *x.shape[2:]), weight.flatten(0, 1), flat, batch * conv.groups)
        return y.reshape(batch, -1, *y.shape[2:])

    def _of(self, name: str, batch: int) -> Any:
        """The tensor (B, ...), whether it is tunable or not."""
        if name in self.tensors:
            return self.tensors[name]
        plain = self.source._parameters[name]
        return None if plain is None else plain.expand(batch, *plain.shape)
