"""The closed registry of architectures: what a zoo entry may name.

An architecture is a typed configuration, a function that builds the plain network, and a contract
that says how images go through it. Nothing outside this tuple can be built from a manifest.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from torch import nn

from tunable_models.architectures import edsr
from tunable_models.architectures.contract import ImageContract
from tunable_models.errors import ArchitectureError

__all__ = ["Architecture", "ImageContract", "build", "get_architecture", "list_architectures"]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One registered architecture.

    Attributes:
        name: its id in manifests and params.
        config_class: a frozen dataclass that validates itself.
        network: the plain network's class, made from a config.
        contract_of: how images of any size go through it.
    """

    name: str
    config_class: type[Any]
    network: Callable[[Any], nn.Module]
    contract_of: Callable[[Any], ImageContract]

    def config(self, **values: Any) -> Any:
        """A checked configuration; unset fields take their defaults.

        Raises:
            ArchitectureError: an unknown key, or a value of a wrong type or range.
        """
        fields = [field.name for field in dataclasses.fields(self.config_class)]
        for key in values:
            if key not in fields:
                raise ArchitectureError(f"{self.name} has no option {key!r}{_nearest(key, fields)}")
        return self.config_class(**values)

    def build(self, **values: Any) -> nn.Module:
        """The plain network, freshly initialised from torch's global generator."""
        return self.network(self.config(**values))

    def contract(self, **values: Any) -> ImageContract:
        """How images go through the network of this configuration."""
        return self.contract_of(self.config(**values))


_ARCHITECTURES = (
    Architecture(name="edsr", config_class=edsr.EDSRConfig, network=edsr.EDSR, contract_of=edsr.contract),
)


def list_architectures() -> list[str]:
    """Names of the registered architectures."""
    return [architecture.name for architecture in _ARCHITECTURES]


def get_architecture(name: str) -> Architecture:
    """The architecture of that name.

    Raises:
        ArchitectureError: there is none; the message lists the names.
    """
    for architecture in _ARCHITECTURES:
        if architecture.name == name:
            return architecture
    raise ArchitectureError(f"unknown architecture {name!r}{_nearest(name, list_architectures())}")


def build(name: str, **config: Any) -> nn.Module:
    """A plain network by name, for example ``build("edsr", width=32, blocks=4)``.

    Raises:
        ArchitectureError: an unknown name or option, or a value it cannot take.
    """
    return get_architecture(name).build(**config)


def _nearest(name: Any, valid: list[str]) -> str:
    close = get_close_matches(str(name), valid, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; expected one of {', '.join(valid)}"
