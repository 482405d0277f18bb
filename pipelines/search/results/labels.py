"""Words for configurations and measures, in plots."""

from collections.abc import Sequence

from pipelines.search.results.configurations import Configuration
from pipelines.search.results.features import parent_of, varying_axes
from pipelines.search.trial_record import Objective, Point

_DECIBELS = ("psnr_own", "range_db", "specialist_gap_mean", "specialist_gap_worst")


def labels(configurations: Sequence[Configuration], axes: Sequence[str]) -> dict[int, str]:
    """A label for each configuration, by number, such as ``#3 dirichlet(alpha=0.5), lr=0.001``.

    It names the axes that vary, those that belong to another in brackets behind it.
    """
    points = [configuration.point for configuration in configurations]
    varying = varying_axes(points, axes)
    parents = {axis: parent_of(axis, points, axes) for axis in varying}
    return {c.number: f"#{c.number} {_label(c.point, varying, parents)}".rstrip() for c in configurations}


def objective_label(objective: Objective) -> str:
    """Name, unit and direction of an objective."""
    unit = ", dB" if objective.name in _DECIBELS else ""
    better = "larger" if objective.mode == "max" else "smaller"
    return f"{objective.name}{unit} ({better} is better)"


def value_label(value: str | int | float | None) -> str:
    """An axis's value in few characters."""
    return f"{value:.3g}" if isinstance(value, float) else "none" if value is None else str(value)


def _label(point: Point, varying: Sequence[str], parents: dict[str, str | None]) -> str:
    owners = set(parents.values()) if len(varying) > 1 else set(varying)
    words = []
    for axis in (axis for axis in varying if axis in point and parents[axis] is None):
        inner = [child for child in varying if parents[child] == axis and child in point]
        values = ", ".join(f"{name.rpartition('.')[2]}={value_label(point[name])}" for name in inner)
        value = value_label(point[axis]) + (f"({values})" if values else "")
        words.append(value if axis in owners else f"{axis}={value}")
    return ", ".join(words)
