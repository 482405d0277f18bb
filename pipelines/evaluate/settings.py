"""Where on the sliders a network is measured. A setting is an omega as a plain tuple, one value a control."""

from dataclasses import dataclass
from itertools import product

from tunable_models import ControlSpace

Setting = tuple[float, ...]


@dataclass(frozen=True)
class Sweep:
    """One slider from end to end, the others held at one of their ends.

    Attributes:
        space: a box.
        control: index of the slider.
        held: where the others are, 0 or 1.
        values: positions of the slider, rising.
    """

    space: ControlSpace
    control: int
    held: float
    values: tuple[float, ...]

    @property
    def name(self) -> str:
        """The slider's name."""
        return self.space.names[self.control]

    @property
    def label(self) -> str:
        """For example ``denoise_others_high``."""
        return f"{self.name}_others_{'high' if self.held else 'low'}"

    @property
    def settings(self) -> list[Setting]:
        """One a position, in order."""
        return [self._setting(value) for value in self.values]

    @property
    def vertex(self) -> int:
        """The corner at the slider's upper end, whose target is what turning it up should approach."""
        return self.space.vertices.index(self._setting(1.0))

    def _setting(self, value: float) -> Setting:
        return tuple(value if i == self.control else self.held for i in range(len(self.space)))


def positions(count: int) -> tuple[float, ...]:
    """That many equally spaced values from 0 to 1."""
    return tuple(i / (count - 1) for i in range(count))


def sweeps(space: ControlSpace, count: int) -> list[Sweep]:
    """Every slider with the others high, then with the others low."""
    values = positions(count)
    return [Sweep(space, control, held, values) for control in range(len(space)) for held in (1.0, 0.0)]


def grid(space: ControlSpace, count: int) -> list[Setting]:
    """All combinations of equally spaced values, the first control slowest; corners included."""
    return list(product(positions(count), repeat=len(space)))


def corner_name(space: ControlSpace, corner: Setting) -> str:
    """The sliders that are up, for example ``denoise_and_deblur``; ``none`` without any."""
    return "_and_".join(name for name, value in zip(space.names, corner, strict=True) if value) or "none"
