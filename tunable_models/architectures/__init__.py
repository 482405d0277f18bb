"""The registry of architectures: what a zoo entry may name.

An architecture is a typed configuration, the class of the plain network, a contract that says how images go
through it, and the published sizes. Further ones are registered by :func:`register_architecture` or by an
entry point of the group ``tunable_zoo.architectures``, named after the architecture, that leads to an
:class:`Architecture`. A manifest names one and never code: nothing is imported that is not installed as such
an entry point.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from tunable_models.architectures import drunet, edsr, nafnet, stylenet, swinir
from tunable_models.architectures.contract import ImageContract
from tunable_models.errors import ArchitectureError, suggest_name
from tunable_models.registry import Package, Registry

__all__ = [
    "Architecture",
    "ImageContract",
    "build",
    "find_package",
    "get_architecture",
    "identify_architecture",
    "list_architectures",
    "list_presets",
    "register_architecture",
    "registered_here",
]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One registered architecture.

    Attributes:
        name: its id in manifests and params.
        config_class: a frozen dataclass of JSON values that validates itself.
        network: the plain network's class, made from a config and keeping it as ``config``.
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
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

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


_BUILTIN = (
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


def _check_architecture(name: str, item: object) -> Architecture:
    if not isinstance(item, Architecture):
        raise ArchitectureError(f"expected an Architecture for {name!r}, got {type(item).__name__}")
    if item.name != name:
        raise ArchitectureError(f"expected an architecture that is named {name!r}, got {item.name!r}")
    if not (isinstance(item.config_class, type) and dataclasses.is_dataclass(item.config_class)):
        raise ArchitectureError(
            f"expected a dataclass as config_class of {name!r}, got {item.config_class!r}"
        )
    if not (isinstance(item.network, type) and issubclass(item.network, nn.Module)):
        raise ArchitectureError(
            f"expected a class of networks, made from a config, as network of {name!r}, got {item.network!r}"
        )
    return item


_REGISTRY: Registry[Architecture] = Registry(
    "architecture",
    "tunable_zoo.architectures",
    error=ArchitectureError,
    check=_check_architecture,
    definition=lambda architecture: architecture.network,
)
for _architecture in _BUILTIN:
    _REGISTRY.add_builtin(_architecture.name, _architecture)


def register_architecture(architecture: Architecture) -> Architecture:
    """Add an architecture, so that it can be built, trained, published and loaded by its name.

    It holds in this process. A package that others install names its architectures as entry points of the
    group ``tunable_zoo.architectures`` instead, which every process finds.

    Returns:
        The same architecture.

    Raises:
        ArchitectureError: another architecture has that name, or a part is of a wrong kind.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class DeepConfig:
        ...     width: int = 8
        >>> class Deep(nn.Module):
        ...     def __init__(self, config):
        ...         super().__init__()
        ...         self.config = config
        ...         self.layer = nn.Conv2d(3, 3, config.width + 1, padding=config.width // 2)
        ...     def forward(self, x):
        ...         return x + self.layer(x)
        >>> see = lambda config: ImageContract(radius_px=config.width // 2)
        >>> deep = Architecture(name="deep", config_class=DeepConfig, network=Deep, contract_of=see)
        >>> register_architecture(deep).name
        'deep'
        >>> build("deep", width=4)(torch.rand(1, 3, 9, 9)).shape
        torch.Size([1, 3, 9, 9])
    """
    return _REGISTRY.register(architecture.name, architecture)


def registered_here(name: str) -> Architecture | None:
    """The architecture if a call in this process registered it; None if every process knows it."""
    return _REGISTRY.registered(name)


def find_package(name: str) -> Package | None:
    """The installed package that an architecture comes from; None for those of this package."""
    return _REGISTRY.package(name)


def list_architectures() -> list[str]:
    """Names of the registered architectures, those of this package first.

    Example:
        >>> list_architectures()[:5]
        ['drunet', 'edsr', 'nafnet', 'stylenet', 'swinir']
    """
    return _REGISTRY.names()


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
        ArchitectureError: there is none; the message lists the names. Or its package cannot be loaded.

    Example:
        >>> get_architecture("nafnet").contract("w32").alignment
        16
    """
    return _REGISTRY.get(name)


def identify_architecture(module: nn.Module) -> tuple[str, dict[str, Any]] | None:
    """Name and whole configuration of a network of exactly a registered class; None for any other.

    Example:
        >>> identify_architecture(build("stylenet", "johnson"))[0]
        'stylenet'
    """
    for name, architecture in _REGISTRY.items():
        if type(module) is architecture.network:
            return name, _to_json(module.config)
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
