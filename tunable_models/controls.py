"""Controls: the sliders of a network, and omega, the tensor of their values.

A control has a native range and unit; omega holds the same values scaled to [0, 1]. A
:class:`ControlSpace` says which omegas exist together: a *box* [0, 1]^P of independent sliders, or a
*simplex*, where they share a sum of 1. Its *vertices* are the settings that carry one objective each;
``vertex_weights`` spreads any omega over them, which is how one omega weighs both kernels and losses
(Maggioni et al., "Tunable Convolutions with Parametric Multi-Loss Optimization", CVPR 2023,
https://arxiv.org/abs/2304.00898).

Shapes: P controls, V vertices, B samples.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from numbers import Real
from typing import Any, Literal

import torch
from torch import Tensor

from tunable_models.errors import OmegaError, suggest_name

SUM_TOLERANCE = 1e-4
"""How far the sum of a simplex omega may be from 1: room for float32, none for a mistake."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """One slider.

    Attributes:
        name: an identifier, used as keyword and form field.
        description: one sentence: what turning it up does.
        low: native value of omega = 0.
        high: native value of omega = 1.
        default: native value when a person sets nothing.
        unit: of the native values, empty for a plain fraction.
        kind: ``objective`` weighs the objectives of the loss; ``condition`` describes the
            input, such as its noise level.
        metric: the number that turning it up raises.

    Raises:
        OmegaError: a name that is no identifier, or a range or default that is impossible.

    Example:
        >>> noise = Control(name="noise", low=0, high=50, default=25, unit="sigma/255", kind="condition")
        >>> noise.to_unit(10), noise.to_native(0.5)
        (0.2, 25.0)
    """

    name: str
    description: str = ""
    low: float = 0.0
    high: float = 1.0
    default: float = 1.0
    unit: str = ""
    kind: Literal["objective", "condition"] = "objective"
    metric: str = ""

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise OmegaError(f"control name must be an identifier such as 'denoise', got {self.name!r}")
        if self.kind not in ("objective", "condition"):
            raise OmegaError(f"{self.name}: kind must be 'objective' or 'condition', got {self.kind!r}")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise OmegaError(f"{self.name}: expected finite low < high, got {self.low} and {self.high}")
        if not self.low <= self.default <= self.high:
            raise OmegaError(f"{self.name}: default {self.default} is outside {self.low}..{self.high}")

    def to_unit(self, value: float) -> float:
        """A native value as a number in [0, 1].

        Raises:
            OmegaError: not a number, not finite, or outside the range.
        """
        given: object = value  # whatever a form or a file said
        if isinstance(given, bool) or not isinstance(given, Real):
            raise OmegaError(f"{self.name}: expected a number, got {value!r}")
        if not (math.isfinite(value) and self.low <= value <= self.high):
            unit = f" {self.unit}" if self.unit else ""
            raise OmegaError(f"{self.name}: expected {self.low:g} to {self.high:g}{unit}, got {value!r}")
        return (float(value) - self.low) / (self.high - self.low)

    def to_native(self, value: float) -> float:
        """A number in [0, 1] as a native value."""
        return self.low + value * (self.high - self.low)


@dataclass(frozen=True)
class ControlSpace:
    """The set of all omegas of a network. Make one with :meth:`box`, :meth:`simplex` or :meth:`of`.

    Attributes:
        kind: ``box`` or ``simplex``.
        controls: the P controls, in omega's order.

    Example:
        >>> space = ControlSpace.box("denoise", "deblur")
        >>> space.omega(denoise=0.25)
        tensor([0.2500, 1.0000])
    """

    kind: Literal["box", "simplex"]
    controls: tuple[Control, ...]

    def __post_init__(self) -> None:
        if self.kind not in ("box", "simplex"):
            raise OmegaError(f"a control space is 'box' or 'simplex', got {self.kind!r}")
        if len(set(self.names)) != len(self.names):
            raise OmegaError(f"control names must differ, got {', '.join(self.names)}")
        if len(self.controls) < (2 if self.kind == "simplex" else 1):
            raise OmegaError(f"a {self.kind} needs more controls, got {len(self.controls)}")

    @classmethod
    def box(cls, *controls: Control | str) -> "ControlSpace":
        """Independent sliders, each over its whole range."""
        return cls("box", tuple(_make_control(item, 1.0) for item in controls))

    @classmethod
    def simplex(cls, *controls: Control | str) -> "ControlSpace":
        """Sliders that share a sum of 1; names get equal defaults."""
        return cls("simplex", tuple(_make_control(item, 1 / len(controls)) for item in controls))

    @classmethod
    def of(cls, controls: "ControlSpace | int") -> "ControlSpace":
        """A space as it is, or a box of that many unnamed controls."""
        if isinstance(controls, ControlSpace):
            return controls
        if isinstance(controls, bool) or not isinstance(controls, int):
            raise OmegaError(f"expected a ControlSpace or a number of controls, got {controls!r}")
        return cls.box(*(f"omega{index}" for index in range(controls)))

    def __len__(self) -> int:
        return len(self.controls)

    @property
    def names(self) -> tuple[str, ...]:
        """The controls' names, in omega's order."""
        return tuple(control.name for control in self.controls)

    @property
    def defaults(self) -> dict[str, float]:
        """Native values when a person sets nothing."""
        return self.values(self.omega())

    @cached_property
    def vertices(self) -> tuple[tuple[float, ...], ...]:
        """The omegas with one objective each: P one-hots of a simplex, the 2^P corners of a box.

        Corners are counted with the first control fastest: (0,0), (1,0), (0,1), (1,1).
        """
        if self.kind == "simplex":
            return tuple(tuple(float(i == j) for j in range(len(self))) for i in range(len(self)))
        return tuple(corner[::-1] for corner in product((0.0, 1.0), repeat=len(self)))

    def vertex_weights(self, omega: Tensor) -> Tensor:
        """How much each vertex counts at omega: omega itself, or multilinear weights on a box.

        Args:
            omega: (B, P) in this space.

        Returns:
            (B, V), not negative, each row summing to 1.
        """
        if self.kind == "simplex":
            return omega
        corners = torch.tensor(self.vertices, dtype=omega.dtype, device=omega.device)
        factors = torch.where(corners > 0, omega.unsqueeze(1), 1 - omega.unsqueeze(1))
        return factors.prod(dim=-1)

    def omega(self, values: Mapping[str, float] | None = None, /, **named: float) -> Tensor:
        """Omega of native values; unset controls take their defaults.

        On a simplex the unset controls share what the set ones leave, in proportion to their defaults.

        Returns:
            (P,) float32 on the CPU.

        Raises:
            OmegaError: values without names, an unknown name, a value that is not a finite number or out
                of range, or simplex values that sum to more than 1 (or, all set, to less).
        """
        if values is not None and not isinstance(values, Mapping):
            raise OmegaError(
                f"expected settings by name, such as {{{self.names[0]!r}: {self.controls[0].default}}} or "
                f"{self.names[0]}={self.controls[0].default}, got {type(values).__name__}"
            )
        given = {**(values or {}), **named}
        for name in given:
            if name not in self.names:
                raise OmegaError(self._unknown(name))
        unit = {c.name: c.to_unit(given[c.name]) for c in self.controls if c.name in given}
        rest = {c.name: c.to_unit(c.default) for c in self.controls if c.name not in given}
        if self.kind == "simplex":
            rest = _share_rest(rest, 1 - sum(unit.values()))
        return torch.tensor([{**unit, **rest}[name] for name in self.names])

    def values(self, omega: Tensor) -> dict[str, float]:
        """Native values of one omega (P,), by name."""
        self.check(omega)
        if omega.dim() != 1:
            raise OmegaError(f"expected one omega of shape ({len(self)},), got {tuple(omega.shape)}")
        return {c.name: c.to_native(v) for c, v in zip(self.controls, omega.tolist(), strict=True)}

    def check(self, omega: Tensor, *, device: torch.device | None = None) -> None:
        """Refuse a tensor that is no omega of this space.

        Args:
            omega: (P,), (B, P) or a map (B, P, H, W), floating point.
            device: where it must be; anywhere by default.

        Raises:
            OmegaError: a wrong type, shape, dtype or device; a value that is not finite or not in
                [0, 1]; on a simplex a sum other than 1.
        """
        self.check_form(omega, device)
        low, high = (bound.item() for bound in omega.detach().aminmax())
        # Written so that NaN, for which every comparison is false, is refused too.
        if not (low >= 0 and high <= 1):
            raise OmegaError(f"omega must be finite and within [0, 1], got values from {low} to {high}")
        if self.kind == "simplex":
            axis = 1 if omega.dim() == 4 else -1
            error = (omega.detach().float().sum(axis) - 1).abs().max().item()
            if not error <= SUM_TOLERANCE:
                raise OmegaError(f"omega on a simplex must sum to 1, got a sum that is off by {error:.3g}")

    def check_form(self, omega: Tensor, device: torch.device | None = None) -> None:
        """Refuse a tensor that has no form of an omega, without a look at its values.

        Raises:
            OmegaError: a wrong type, shape, dtype or device.
        """
        if not isinstance(omega, Tensor):
            raise OmegaError(f"omega must be a tensor, got {type(omega).__name__}; use space.omega(...)")
        axis = {1: 0, 2: 1, 4: 1}.get(omega.dim())
        if axis is None or omega.shape[axis] != len(self) or omega.numel() == 0:
            raise OmegaError(
                f"omega must have shape ({len(self)},), (batch, {len(self)}) or (batch, {len(self)}, height, "
                f"width) for {', '.join(self.names)}, got {tuple(omega.shape)}"
            )
        if not omega.is_floating_point():
            raise OmegaError(f"omega must be floating point, got {omega.dtype}; use omega.float()")
        if device is not None and omega.device != device:
            raise OmegaError(
                f"omega must be on {device} like the network, got {omega.device}; use omega.to()"
            )

    def _unknown(self, name: str) -> str:
        return f"unknown control {name!r}{suggest_name(name, self.names, 'this network has')}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a manifest."""
        return {"kind": self.kind, "controls": [asdict(control) for control in self.controls]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ControlSpace":
        """The space that :meth:`to_dict` described.

        Raises:
            OmegaError: keys are missing or unknown, or the values are impossible.
        """
        try:
            controls = tuple(Control(**control) for control in values["controls"])
            return cls(kind=values["kind"], controls=controls)
        except (KeyError, TypeError) as error:
            raise OmegaError(f"expected a control space's 'kind' and 'controls', got {values!r}") from error


def _make_control(item: Control | str, default: float) -> Control:
    return item if isinstance(item, Control) else Control(name=item, default=default)


def _share_rest(defaults: dict[str, float], left: float) -> dict[str, float]:
    if left < -SUM_TOLERANCE or (not defaults and left > SUM_TOLERANCE):
        raise OmegaError(
            f"controls on a simplex must sum to 1, got {1 - left:g}; lower some or leave one unset"
        )
    total = sum(defaults.values())
    even = 1 / max(len(defaults), 1)
    return {name: max(left, 0.0) * (value / total if total else even) for name, value in defaults.items()}
