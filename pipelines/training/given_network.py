"""A network itself in place of options that build one, for :func:`pipelines.train`."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import PrivateAttr
from torch import Tensor

from pipelines.core.errors import ConfigError
from pipelines.training.network import NetworkConfig
from tunable_models import ControlSpace, ConversionError, ImageContract, NetworkSpec, TunableNetwork
from tunable_models.loading import check_state


class GivenNetwork(NetworkConfig):
    """The network of a caller; it travels with a job, and no file can hold it.

    ``architecture``, ``basis`` and ``rank`` say what it is; it is never built from them.
    """

    _network: TunableNetwork = PrivateAttr()
    _contract: ImageContract = PrivateAttr()
    _code: str = PrivateAttr()
    _tensors: str = PrivateAttr()

    @classmethod
    def of(cls, network: TunableNetwork, contract: ImageContract, code: str, tensors: str) -> Self:
        """The options that stand for a network.

        Args:
            network: as training begins.
            contract: how images go through it.
            code: SHA-256 of its code, and of its values but for tensors.
            tensors: SHA-256 of its tensors.
        """
        spec = network.spec
        name = spec.architecture or type(network.network).__name__
        config = cls(architecture=name, basis=spec.basis, rank=spec.rank, method=spec.method)
        config._network, config._contract = network, contract
        config._code, config._tensors = code, tensors
        return config

    @property
    def code(self) -> str:
        """SHA-256 of what the network computes; part of a run's identity, as code is."""
        return self._code

    def classes(self) -> list[type]:
        """The classes of its modules."""
        return [type(module) for module in self._network.network.modules()]

    def options(self) -> dict[str, Any]:
        """Those of its architecture; none for a network of no registered one."""
        return {}

    def contract(self) -> ImageContract:
        """How images go through the network."""
        return self._contract

    def spec(self, space: ControlSpace) -> NetworkSpec:
        """What the network is.

        Raises:
            ConfigError: it was made tunable with other sliders than the task's.
        """
        spec = self._network.spec
        if spec.space != space:
            raise ConfigError(
                f"expected a network with the sliders of the task, {_describe_space(space)}, got "
                f"{_describe_space(spec.space)}; say make_tunable(module, task.space)"
            )
        return spec

    def materials(self, root: Path) -> Mapping[str, str]:
        """Its tensors as training begins, by their SHA-256."""
        del root
        return {"network": self._tensors}

    def make(self, space: ControlSpace, seed: int, root: Path = Path()) -> TunableNetwork:
        """A copy of the network as training begins."""
        del seed, root
        self.spec(space)
        return copy.deepcopy(self._network).train()

    def load(self, space: ControlSpace, state: Mapping[str, Tensor]) -> TunableNetwork:
        """The trained network, frozen and in evaluation mode, on the CPU."""
        network = self.make(space, 0)
        check_state(network, state, "the trained network")
        network.load_state_dict(state)
        return network.requires_grad_(False).eval()

    @property
    def modules(self) -> tuple[str, ...]:
        """Name of the module of its class, whose code counts with the network itself."""
        return (type(self._network.network).__module__,)

    def count_parameters(self, space: ControlSpace) -> int:
        """How many numbers the tunable network has."""
        del space
        return sum(parameter.numel() for parameter in self._network.parameters())

    def describe(self, space: ControlSpace) -> dict[str, Any]:
        """Its description for records; without an architecture if no file can say how it is built."""
        spec = self.spec(space)
        try:
            return spec.to_dict()
        except ConversionError:  # no registered architecture, or tensors selected by types
            architecture = {"id": "", "config": {}, "class": self.architecture}
            own = {"method": spec.method, "basis": spec.basis, "rank": spec.rank, "train": spec.train}
            return {"architecture": architecture, **own, "space": spec.space.to_dict()}


def _describe_space(space: ControlSpace) -> str:
    controls = ", ".join(f"{c.name} {c.low:g} to {c.high:g} ({c.kind})" for c in space.controls)
    return f"a {space.kind} of {controls}"
