"""The published tunable layer, as a reference to measure against.

Maggioni et al., "Tunable Convolutions with Parametric Multi-Loss Optimization", CVPR 2023,
https://arxiv.org/abs/2304.00898, written anew from its definition, in the linear mode: the kernel of
sample b is the sum of w_bj K_j; the batch is folded into the channels, so that one grouped convolution
meets every sample with its own kernel; a dense layer is a batched product. The bias, mixed likewise, is
added afterwards. Always one omega a sample, also where all are equal: that is the layer's form.

Shapes: B samples, P controls, I and O input and output channels, G groups of the source.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass
class Setting:
    """What all layers of one network read: omega (B, P) of the call."""

    omega: Tensor | None = None

    def rows(self) -> Tensor:
        """The omega of this call."""
        assert self.omega is not None, "a published layer runs inside its network only"
        return self.omega


class PublishedConv2d(nn.Module):
    """P kernels in the place of a convolution's one."""

    def __init__(self, source: nn.Conv2d, controls: int, setting: Setting) -> None:
        super().__init__()
        assert source.padding_mode == "zeros", "the published layer knows zero padding"
        self.setting = setting
        self.weight = _copies(source.weight, controls)
        self.bias = None if source.bias is None else _copies(source.bias, controls)
        self.stride, self.padding, self.dilation = source.stride, source.padding, source.dilation
        self.groups = source.groups

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) to (B, O, H', W')."""
        omega = self.setting.rows()
        batch = len(omega)
        kernels = (omega @ self.weight.flatten(1)).view(-1, *self.weight.shape[2:])  # (B * O, I / G, k, k)
        groups, folded = batch * self.groups, x.reshape(1, -1, *x.shape[2:])
        y = F.conv2d(folded, kernels, None, self.stride, self.padding, self.dilation, groups)
        y = y.view(batch, -1, *y.shape[2:])
        return y if self.bias is None else y + (omega @ self.bias)[..., None, None]


class PublishedLinear(nn.Module):
    """P matrices in the place of a linear layer's one."""

    def __init__(self, source: nn.Linear, controls: int, setting: Setting) -> None:
        super().__init__()
        self.setting = setting
        self.weight = _copies(source.weight, controls)
        self.bias = None if source.bias is None else _copies(source.bias, controls)

    def forward(self, x: Tensor) -> Tensor:
        """(B * n, ..., I) to (B * n, ..., O); the n windows of a sample stand together."""
        omega = self.setting.rows()
        matrices = (omega @ self.weight.flatten(1)).view(-1, *self.weight.shape[1:])  # (B, O, I)
        y: Tensor = x.reshape(len(omega), -1, x.shape[-1]) @ matrices.transpose(1, 2)
        if self.bias is not None:
            y = y + (omega @ self.bias)[:, None]
        return y.view(*x.shape[:-1], -1)


class PublishedNetwork(nn.Module):
    """A network whose convolutions and linear layers are the published ones.

    All P kernels start as the source's, so the network is the source's wherever omega sums to 1.

    Args:
        source: copied; every ``Conv2d`` and ``Linear`` in it is replaced.
        controls: P.
    """

    def __init__(self, source: nn.Module, controls: int) -> None:
        super().__init__()
        self.setting = Setting()
        self.network = _replace(copy.deepcopy(source), controls, self.setting)

    def forward(self, x: Tensor, omega: Tensor) -> Tensor:
        """The source's forward at omega (B, P), which sums to 1."""
        self.setting.omega = omega
        output: Tensor = self.network(x)
        return output


def _replace(module: nn.Module, controls: int, setting: Setting) -> nn.Module:
    if type(module) is nn.Conv2d:
        return PublishedConv2d(module, controls, setting)
    if type(module) is nn.Linear:
        return PublishedLinear(module, controls, setting)
    for name, child in module.named_children():
        setattr(module, name, _replace(child, controls, setting))
    return module


def _copies(source: Tensor, count: int) -> nn.Parameter:
    return nn.Parameter(torch.stack([source.detach()] * count))
