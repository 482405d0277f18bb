"""The network as evaluation asks it: one photograph, one setting, as the zoo's predictor would run it."""

import torch
from torch import Tensor

from pipelines.core.errors import ConfigError
from pipelines.measure.settings import Setting
from tunable_models import ControlSpace, ImageContract, TunableNetwork
from zoo.tiling import pad_to_multiple


class Subject:
    """A network that takes pictures of any size.

    Args:
        network: ready for inference; moved to the device.
        contract: how images go through it.
        device: where it runs.

    Raises:
        ConfigError: a device that this machine does not have.
    """

    def __init__(self, network: TunableNetwork, contract: ImageContract, device: str = "cpu") -> None:
        _check(device)
        self._network = network.to(device).requires_grad_(False)
        self._contract = contract

    @property
    def space(self) -> ControlSpace:
        """Of the sliders."""
        return self._network.space

    @torch.inference_mode()
    def __call__(self, inputs: Tensor, setting: Setting) -> Tensor:
        """The output (B, 3, sH, sW) for inputs (B, 3, H, W), both on the CPU."""
        height, width = (self._contract.scale * side for side in inputs.shape[-2:])
        device = self._network.device
        padded = pad_to_multiple(inputs.to(device), self._contract.multiple)
        output: Tensor = self._network.at(torch.tensor(setting, device=device))(padded)
        return output[..., :height, :width].cpu()


def _check(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA raises an AssertionError
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"params.yaml: evaluate.device {device!r}: {reason}; cpu always works") from error
