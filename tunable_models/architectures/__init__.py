"""The closed registry of architectures: what a zoo entry may name.

An architecture is a typed configuration, a function that builds the plain network, a contract that says
how images go through it, and the published sizes. Nothing outside this tuple can be built from a
manifest.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from tunable_models.architectures import drunet, edsr, nafnet, stylenet, swinir
from tunable_models.architectures.contract import ImageContract
from tunable_models.errors import ArchitectureError, suggest_name

__all__ = [
    "Architecture",
    "ImageContract",
    "build",
    "get_architecture",
    "identify_architecture",
    "list_architectures",
    "list_presets",
]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One registered architecture.

    Attributes:
        name: its id in manifests and params.
        config_class: a frozen dataclass that validates itself.
        network: the plain network's class, made from a config.
        contract_of: how images of any size go through it.
        presets: the published sizes, options by name.

    Example:
        >>> get_architecture("edsr").config("baseline-x2", blocks=4).width
        64
    """

    name: str
    config_class: type[Any]
    network: Callable[[Any], nn.Module]
    contract_of: Callable[[Any], ImageContract]
    presets: Mapping[str, Mapping[str, Any]]

    def config(self, preset: str | None = None, **values: Any) -> Any:
        """A checked configuration; unset fields take the preset's values, or their defaults.

        Raises:
            ArchitectureError: an unknown preset or key, or a value of a wrong type or range.
        """
        fields = [field.name for field in dataclasses.fields(self.config_class)]
        for key in values:
            if key not in fields:
                raise ArchitectureError(f"{self.name} has no option {key!r}{suggest_name(key, fields)}")
        return self.config_class(**{**self._preset(preset), **values})

    def options(self, preset: str | None = None, **values: Any) -> dict[str, Any]:
        """The whole configuration in JSON's types, for files that must not depend on presets."""
        return _to_json(self.config(preset, **values))

    def build(self, preset: str | None = None, **values: Any) -> nn.Module:
        """The plain network, freshly initialised from torch's global generator."""
        return self.network(self.config(preset, **values))

    def contract(self, preset: str | None = None, **values: Any) -> ImageContract:
        """How images go through the network of this configuration."""
        return self.contract_of(self.config(preset, **values))

    def _preset(self, name: str | None) -> Mapping[str, Any]:
        if name is None:
            return {}
        if name not in self.presets:
            raise ArchitectureError(
                f"{self.name} has no preset {name!r}{suggest_name(name, list(self.presets))}"
            )
        return self.presets[name]


_ARCHITECTURES = (
    Architecture(
        name="drunet",
        config_class=drunet.DRUNetConfig,
        network=drunet.DRUNet,
        contract_of=drunet.make_contract,
        presets=drunet.PRESETS,
    ),
    Architecture(
        name="edsr",
        config_class=edsr.EDSRConfig,
        network=edsr.EDSR,
        contract_of=edsr.make_contract,
        presets=edsr.PRESETS,
    ),
    Architecture(
        name="nafnet",
        config_class=nafnet.NAFNetConfig,
        network=nafnet.NAFNet,
        contract_of=nafnet.make_contract,
        presets=nafnet.PRESETS,
    ),
    Architecture(
        name="stylenet",
        config_class=stylenet.StyleNetConfig,
        network=stylenet.StyleNet,
        contract_of=stylenet.make_contract,
        presets=stylenet.PRESETS,
    ),
    Architecture(
        name="swinir",
        config_class=swinir.SwinIRConfig,
        network=swinir.SwinIR,
        contract_of=swinir.make_contract,
        presets=swinir.PRESETS,
    ),
)


def list_architectures() -> list[str]:
    """Names of the registered architectures.

    Example:
        >>> list_architectures()
        ['drunet', 'edsr', 'nafnet', 'stylenet', 'swinir']
    """
    return [architecture.name for architecture in _ARCHITECTURES]


def list_presets(name: str) -> list[str]:
    """Names of the published sizes of an architecture.

    Raises:
        ArchitectureError: there is no such architecture.

    Example:
        >>> list_presets("stylenet")
        ['johnson', 'tunable']
    """
    return list(get_architecture(name).presets)


def get_architecture(name: str) -> Architecture:
    """The architecture of that name.

    Raises:
        ArchitectureError: there is none; the message lists the names.

    Example:
        >>> get_architecture("nafnet").contract("w32").alignment
        16
    """
    for architecture in _ARCHITECTURES:
        if architecture.name == name:
            return architecture
    raise ArchitectureError(f"unknown architecture {name!r}{suggest_name(name, list_architectures())}")


def identify_architecture(module: nn.Module) -> tuple[str, dict[str, Any]] | None:
    """Name and whole configuration of a network of exactly a registered class; None for any other.

    Example:
        >>> identify_architecture(build("stylenet", "johnson"))[0]
        'stylenet'
    """
    for architecture in _ARCHITECTURES:
        if type(module) is architecture.network:
            return architecture.name, _to_json(module.config)
    return None


def build(name: str, preset: str | None = None, **config: Any) -> nn.Module:
    """A plain network by name, of a published size or of one's own.

    Args:
        name: of the architecture.
        preset: a published size; see :func:`list_presets`.
        **config: options of the architecture, which go before the preset's.

    Raises:
        ArchitectureError: an unknown name, preset or option, or a value it cannot take.

    Example:
        >>> network = build("nafnet", "w32", width=4)
        >>> network(torch.rand(1, 3, 9, 13)).shape
        torch.Size([1, 3, 9, 13])
    """
    return get_architecture(name).build(preset, **config)


def _to_json(config: Any) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return values
