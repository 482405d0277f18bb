"""Where on the sliders a network is measured. A setting is an omega as a plain tuple, one value a control."""

from dataclasses import dataclass
from itertools import combinations, product

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
        held: what the others do: ``high`` or ``low``, ``share`` on a simplex, empty if there are none.
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


def positions(count: int) -> tuple[float, ...]:
    """That many equally spaced values from 0 to 1."""
    return tuple(i / (count - 1) for i in range(count))


def sweeps(space: ControlSpace, count: int) -> list[Sweep]:
    """Every slider of a box with the others high, then low; every slider of a simplex, the others sharing.

    Those share what is left in proportion to their defaults, as for a person who sets one slider alone.
    """
    values = positions(count)
    return [
        Sweep(control, name, held, values, tuple(_setting(space, control, held, value) for value in values))
        for control, name in enumerate(space.names)
        for held in _ways(space)
    ]


def grid(space: ControlSpace, count: int) -> list[Setting]:
    """All settings of equally spaced values, the first control slowest; vertices included."""
    lattice = list(product(range(count), repeat=len(space)))
    if space.kind == "simplex":
        lattice = [steps for steps in lattice if sum(steps) == count - 1]
    return [_rounded(tuple(step / (count - 1) for step in steps)) for steps in lattice]


def default_setting(space: ControlSpace) -> Setting:
    """Where the sliders stand when a person sets nothing."""
    units = tuple(control.to_unit(control.default) for control in space.controls)
    if space.kind == "simplex":
        total = sum(units)
        units = tuple(unit / total if total else 1 / len(units) for unit in units)
    return _rounded(units)


def centres(space: ControlSpace) -> list[Setting]:
    """Of a simplex: its vertices, the middles of its edges, then its centre."""
    count = len(space)
    groups = [group for size in dict.fromkeys((1, 2, count)) for group in combinations(range(count), size)]
    return [_rounded(tuple(float(index in group) / len(group) for index in range(count))) for group in groups]


def vertex_name(space: ControlSpace, vertex: Setting) -> str:
    """The sliders that are up, for example ``denoise_and_deblur``; ``none`` without any."""
    return "_and_".join(name for name, value in zip(space.names, vertex, strict=True) if value) or "none"


def native(space: ControlSpace, setting: Setting) -> dict[str, float]:
    """The setting in the controls' own units, by name."""
    return {c.name: round(c.to_native(v), DIGITS) for c, v in zip(space.controls, setting, strict=True)}


def _ways(space: ControlSpace) -> tuple[str, ...]:
    if space.kind == "simplex":
        return ("share",)
    return ("high", "low") if len(space) > 1 else ("",)


def _setting(space: ControlSpace, control: int, held: str, value: float) -> Setting:
    if held == "share":
        defaults = [0.0 if i == control else c.to_unit(c.default) for i, c in enumerate(space.controls)]
        others = defaults if any(defaults) else [float(i != control) for i in range(len(space))]
        rest = [(1 - value) * other / sum(others) for other in others]
    else:
        rest = [float(held == "high")] * len(space)
    return _rounded(tuple(value if i == control else other for i, other in enumerate(rest)))


def _rounded(setting: Setting) -> Setting:
    return tuple(round(value, DIGITS) for value in setting)
