"""What a tunable network is: its architecture, its sliders, and how they reach its tensors.

A :class:`NetworkSpec` and a state dict are a whole network. Zoo manifests and training records hold the
JSON form that :meth:`NetworkSpec.to_dict` writes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from torch import nn

from tunable_models._conversion.selection import Pattern
from tunable_models.architectures import ImageContract, get_architecture, identify_architecture
from tunable_models.bases import BASES, BasisName, make_basis
from tunable_models.controls import ControlSpace
from tunable_models.errors import ConversionError
from tunable_models.rivals import ControlMethod, MethodName, find_method

Trained = Literal["all", "deltas"]


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """Everything about a tunable network but its tensors.

    Attributes:
        space: the control space of omega.
        basis: how omega blends kernels; see :mod:`tunable_models.bases`.
        rank: of the deltas, None for full rank.
        train: what training changes, ``all`` or ``deltas``.
        include: patterns of what is tunable, None for everything but norms.
        exclude: patterns of what is not.
        method: ``tunable``, or a rival method of :mod:`tunable_models.rivals`, which decides what is tunable.
        architecture: id in the registry; empty for a network of any other class.
        config: every option of that architecture, in JSON's types.

    Raises:
        ConversionError: a basis that does not fit the space, the rank or ``train``; or a rival method that
            does not fit the space, or with options of ``tunable``.
        ArchitectureError: an unknown architecture, or options that it cannot take.

    Example:
        >>> net = make_tunable(build("edsr", width=8, blocks=1), ControlSpace.box("denoise"), rank=2)
        >>> net.spec.architecture, net.spec.config["width"], net.spec.rank
        ('edsr', 8, 2)
        >>> NetworkSpec.from_dict(net.spec.to_dict()) == net.spec
        True
    """

    space: ControlSpace
    basis: BasisName = "delta"
    rank: int | None = None
    train: Trained = "all"
    include: tuple[Pattern, ...] | None = None
    exclude: tuple[Pattern, ...] = ()
    method: MethodName = "tunable"
    architecture: str = ""
    config: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        make_basis(self.basis, self.space)
        if self.rank is not None and (
            isinstance(self.rank, bool) or not isinstance(self.rank, int) or self.rank < 1
        ):
            raise ConversionError(
                f"rank must be a whole number from 1 or None for full rank, got {self.rank!r}"
            )
        if self.train not in get_args(Trained):
            raise ConversionError(f"train must be 'all' or 'deltas', got {self.train!r}")
        if not BASES[self.basis].has_base and (self.rank is not None or self.train == "deltas"):
            asked = f"rank={self.rank}" if self.rank is not None else "train='deltas'"
            raise ConversionError(
                f"basis {self.basis!r} has no deltas, so {asked} has no meaning; use 'delta' or 'multilinear'"
            )
        if self.rival is not None:
            self._check_rival(self.rival)
        if self.architecture:
            options = get_architecture(self.architecture).options(**self.config)
            object.__setattr__(self, "config", options)

    @classmethod
    def of(
        cls,
        module: nn.Module,
        controls: ControlSpace | int,
        basis: BasisName = "delta",
        *,
        rank: int | None = None,
        train: Trained = "all",
        include: Sequence[Pattern] | None = None,
        exclude: Sequence[Pattern] = (),
        method: MethodName = "tunable",
    ) -> Self:
        """The spec of ``module`` made tunable; arguments as of :func:`make_tunable`."""
        architecture, config = identify_architecture(module) or ("", {})
        return cls(
            space=ControlSpace.of(controls),
            basis=basis,
            rank=rank,
            train=train,
            include=None if include is None else tuple(include),
            exclude=tuple(exclude),
            method=method,
            architecture=architecture,
            config=config,
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The spec in a manifest or training record; other keys are ignored.

        Raises:
            TunableError: a key is missing, or the values describe no network.
        """
        try:
            architecture = values["architecture"]
            include = values.get("include")
            return cls(
                space=ControlSpace.from_dict(values["space"]),
                basis=values["basis"],
                rank=values.get("rank"),
                train=values.get("train", "all"),
                include=None if include is None else tuple(include),
                exclude=tuple(values.get("exclude", ())),
                method=values.get("method", "tunable"),
                architecture=architecture["id"],
                config=architecture["config"],
            )
        except KeyError as error:
            raise ConversionError(f"expected the key {error} of a network's description") from error
        except TypeError as error:
            raise ConversionError(f"expected a network's description, got other types: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """The spec as JSON values.

        Raises:
            ConversionError: the network is of no registered architecture, or a pattern is a type.
        """
        types = [
            pattern for pattern in (*(self.include or ()), *self.exclude) if not isinstance(pattern, str)
        ]
        if types:
            raise ConversionError(
                f"expected include and exclude by name, got the type {types[0].__name__}, which "
                "no file can name"
            )
        # Files of networks without a rival method stay readable by versions that know of none.
        method = {} if self.method == "tunable" else {"method": self.method}
        return {
            "architecture": {"id": self._registered(), "config": dict(self.config)},
            **method,
            "basis": self.basis,
            "rank": self.rank,
            "train": self.train,
            "include": None if self.include is None else list(self.include),
            "exclude": list(self.exclude),
            "space": self.space.to_dict(),
        }

    def build_plain(self) -> nn.Module:
        """The network before it is made tunable, freshly initialised.

        Raises:
            ConversionError: the network is of no registered architecture.
        """
        return get_architecture(self._registered()).build(**self.config)

    @property
    def contract(self) -> ImageContract:
        """How images of any size go through the network.

        Raises:
            ConversionError: the network is of no registered architecture.
        """
        contract = get_architecture(self._registered()).contract(**self.config)
        return contract if self.rival is None else self.rival.widen(contract)

    @property
    def rival(self) -> ControlMethod | None:
        """The rival method, None for ``tunable``."""
        return find_method(self.method)

    def _check_rival(self, rival: ControlMethod) -> None:
        rival.check_space(self.space)
        defaults = {"basis": "delta", "rank": None, "train": "all", "include": None, "exclude": ()}
        for name, default in defaults.items():
            if getattr(self, name) != default:
                raise ConversionError(
                    f"method {self.method!r} decides itself what omega changes, so {name}="
                    f"{getattr(self, name)!r} has no meaning; leave it out, or use method 'tunable'"
                )

    def _registered(self) -> str:
        if not self.architecture:
            raise ConversionError(
                "expected a network of a registered architecture, got another class; start from "
                "tunable_models.build(...), or register its class, which its files can then name: "
                "tunable_models.register_architecture(...)"
            )
        return self.architecture
