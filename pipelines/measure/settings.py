"""Where on the sliders a network is measured. A setting is an omega as a plain tuple, one value a control."""

from dataclasses import dataclass
from itertools import combinations, product

import torch
from torch import Tensor

from tunable_models import ControlSpace

Setting = tuple[float, ...]

DIGITS = 9
"""Settings that differ by less are one: sweeps and grid meet although they are computed differently."""


@dataclass(frozen=True)
class Sweep:
    """One slider from end to end.

    Attributes:
        control: index of the slider.
        name: of the slider.
        held: where the others are: ``high`` or ``low``, ``share`` on a simplex, empty if there are none.
        values: positions of the slider, rising from 0 to 1.
        settings: one a position.
    """

    control: int
    name: str
    held: str
    values: tuple[float, ...]
    settings: tuple[Setting, ...]

    @property
    def label(self) -> str:
        """For example ``denoise_others_high``; the bare name where there is one way only."""
        return f"{self.name}_others_{self.held}" if self.held in {"high", "low"} else self.name


def equal_positions(count: int) -> tuple[float, ...]:
    """That many equally spaced values from 0 to 1."""
    return tuple(i / (count - 1) for i in range(count))


def slider_sweeps(space: ControlSpace, count: int) -> list[Sweep]:
    """Every slider of a box with the others high, then low; every slider of a simplex, the others sharing.

    Those share what is left in proportion to their defaults, as for a user who sets one slider alone.
    """
    values = equal_positions(count)
    if space.kind == "simplex":
        ways: tuple[str, ...] = ("share",)
    else:
        ways = ("high", "low") if len(space) > 1 else ("",)
    return [
        Sweep(control, name, held, values, tuple(_sweep_setting(space, control, held, v) for v in values))
        for control, name in enumerate(space.names)
        for held in ways
    ]


def grid_settings(space: ControlSpace, count: int) -> list[Setting]:
    """All settings of equally spaced values, the first control slowest; vertices included."""
    lattice = list(product(range(count), repeat=len(space)))
    if space.kind == "simplex":
        lattice = [steps for steps in lattice if sum(steps) == count - 1]
    return [_round_setting(tuple(step / (count - 1) for step in steps)) for steps in lattice]


def default_setting(space: ControlSpace) -> Setting:
    """The setting of all defaults."""
    units = tuple(control.to_unit(control.default) for control in space.controls)
    if space.kind == "simplex":
        total = sum(units)
        units = tuple(unit / total if total else 1 / len(units) for unit in units)
    return _round_setting(units)


def face_centers(space: ControlSpace) -> list[Setting]:
    """Of a simplex: its vertices, the middles of its edges, then its center."""
    count = len(space)
    groups = [group for size in dict.fromkeys((1, 2, count)) for group in combinations(range(count), size)]
    return [
        _round_setting(tuple(float(index in group) / len(group) for index in range(count)))
        for group in groups
    ]


def vertices_and_default(space: ControlSpace) -> Tensor:
    """The vertices, and the defaults unless they are a vertex; (S, P)."""
    settings = torch.tensor(space.vertices)
    default = space.omega().unsqueeze(0)
    is_vertex = bool((settings == default).all(dim=1).any())
    return settings if is_vertex else torch.cat([settings, default])


def setting_name(space: ControlSpace, omega: Tensor) -> str:
    """Such as ``denoise 1 deblur 0``, in the controls' own units."""
    return " ".join(f"{name} {value:g}" for name, value in space.values(omega.cpu()).items())


def vertex_name(space: ControlSpace, vertex: Setting) -> str:
    """The sliders that are up, for example ``denoise_and_deblur``; ``none`` without any."""
    return "_and_".join(name for name, value in zip(space.names, vertex, strict=True) if value) or "none"


def native_values(space: ControlSpace, setting: Setting) -> dict[str, float]:
    """The setting in the controls' own units, by name."""
    return {c.name: round(c.to_native(v), DIGITS) for c, v in zip(space.controls, setting, strict=True)}


def _sweep_setting(space: ControlSpace, control: int, held: str, value: float) -> Setting:
    if held == "share":
        defaults = [0.0 if i == control else c.to_unit(c.default) for i, c in enumerate(space.controls)]
        others = defaults if any(defaults) else [float(i != control) for i in range(len(space))]
        rest = [(1 - value) * other / sum(others) for other in others]
    else:
        rest = [float(held == "high")] * len(space)
    return _round_setting(tuple(value if i == control else other for i, other in enumerate(rest)))


def _round_setting(setting: Setting) -> Setting:
    return tuple(round(value, DIGITS) for value in setting)
