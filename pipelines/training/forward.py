"""How a batch goes through the network in training: precision, layout in memory, compilation."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pipelines.training.config import TrainConfig
from tunable_models import TunableNetwork

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

BFLOAT16_CPUS = ("amx_bf16", "avx512_bf16", "bf16")
"""Capabilities, as torch names them, of CPUs that compute in bfloat16 themselves; the last is ARM's."""


def suggest_precision(config: TrainConfig) -> tuple[str, str] | None:
    """What is slow about the run's precision on this machine's CPU, and what to set; None if nothing is.

    Says nothing of workers on other nodes or on GPUs.
    """
    compute = config.compute
    if compute.use_gpu or (compute.runner == "ray" and compute.address is not None):
        return None
    capabilities = torch.cpu.get_capabilities()
    has_it = any(capabilities.get(name, False) for name in BFLOAT16_CPUS)
    if has_it and config.precision == "float32":
        return (
            "this CPU computes in bfloat16, which trains convolutional networks faster than float32",
            "set train.precision: bfloat16 and train.compute.channels_last: true",
        )
    if not has_it and config.precision == "bfloat16":
        return "this CPU has no bfloat16 of its own, and imitates it slowly", "set train.precision: float32"
    return None


class Forward(nn.Module):
    """The network as training calls it; holds it as ``network``, and no tensors of its own.

    Args:
        network: to train.
        config: of the run.
    """

    def __init__(self, network: TunableNetwork, config: TrainConfig) -> None:
        super().__init__()
        self.network = network
        self._dtype, self._group = DTYPES[config.precision], config.sampling.group
        self._channels_last = config.compute.channels_last
        self._compiled = torch.compile(network) if config.compute.compile else None

    def forward(self, inputs: Tensor, omega: Tensor) -> Tensor:
        """Outputs (B, 3, sH, sW) in float32.

        Args:
            inputs: (B, 3, H, W).
            omega: (B, P); the rows of a group are equal and stand together.
        """
        if self._channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(inputs.device.type, self._dtype, enabled=self._dtype != torch.float32):
            if self._compiled is None:
                outputs: Tensor = self.network(inputs, omega=omega)
            else:
                outputs = self._by_groups(self._compiled, inputs, omega)
        return outputs.float()

    def _by_groups(self, compiled: Callable[..., Tensor], inputs: Tensor, omega: Tensor) -> Tensor:
        # A compiler may decide nothing by omega's values, and would run every sample alone.
        groups = zip(torch.split(inputs, self._group), omega[:: self._group], strict=True)
        return torch.cat([compiled(own, omega=shared) for own, shared in groups])
