"""A trained network on whole photographs: any size, padded as the zoo's predictor does.

Apart from :mod:`pipelines.measure.runner`, so that training does not depend on the zoo's code.
"""

import torch
from torch import Tensor

from pipelines.core.errors import ConfigError
from pipelines.measure.runner import Run, run_at
from pipelines.measure.settings import Setting
from tunable_models import ControlSpace, ImageContract, TunableNetwork
from zoo.tiling import pad_to_multiple


class TrainedRunner:
    """Runs a network at any setting; inputs may be on another device than the network."""

    def __init__(self, network: TunableNetwork, contract: ImageContract) -> None:
        self._network, self._contract = network, contract

    @property
    def space(self) -> ControlSpace:
        """The sliders."""
        return self._network.space

    def __call__(self, inputs: Tensor, setting: Setting) -> Tensor:
        """The output (B, 3, sH, sW) for inputs (B, 3, H, W)."""
        return self.run_at(torch.tensor(setting))(inputs)

    @torch.inference_mode()
    def run_at(self, omega: Tensor) -> Run:
        """The network at one setting, omega (P,)."""
        run = run_at(self._network, omega)

        @torch.inference_mode()
        def run_padded(inputs: Tensor) -> Tensor:
            height, width = (self._contract.scale * side for side in inputs.shape[-2:])
            return run(pad_to_multiple(inputs, self._contract.multiple))[..., :height, :width]

        return run_padded


def check_device(name: str, option: str) -> torch.device:
    """The device of an option.

    Raises:
        ConfigError: torch does not know it, or this machine does not have it.
    """
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA raises an AssertionError
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"params.yaml: {option} {name!r}: {reason}; cpu always works") from error
