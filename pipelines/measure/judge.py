"""How good the sliders of a network are, in numbers that compare between networks.

Photographs x are degraded as the task's usual levels say, always alike. L(y, w) is the task's loss of
output y at setting w and L_k(y) = L(y, v_k) that of vertex v_k of the sliders' space, means over the
photographs; f is the network, G the settings of the grid, r_k the reference
(:mod:`pipelines.measure.references`). With u_k(w) = L_k(f(x, w)) / r_k,

    hypervolume     H({u(w): w in G}, 1): the volume of [0, 1]^K that some setting dominates
    endpoint_loss   1/K sum_k u_k(v_k): each end by its own objective
    grid_loss       1/|G| sum over G of L(f(x, w), w)
    psnr_own        1/|G| sum over G of PSNR(f(x, w), what w asks for), dB
    violations      share of steps along the sliders where the slider's own metric falls by more than the
                    tolerance, each step of each photograph counted once
    range_db        smallest over the sliders of the rise of their own metric from end to end, mean over
                    the photographs, dB; a dead slider has no violations, and no range either
    specialist_gap  PSNR(specialist) - PSNR(f) at the specialist's setting, dB; without a target picture
                    10 log10 of L(f) / L(specialist)

where PSNR is of pictures within [0, 1], and a mean of each photograph's. A condition control comes with the
input that it describes: losses, PSNR and gaps at w are on x degraded so, and r_k is the inputs' own loss.
Steps along a slider are on the usual input, which is what a user has.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from pipelines.core.errors import DataError, DivergedError
from pipelines.measure.hypervolume import hypervolume
from pipelines.measure.monotonicity import Curve, count_violations, curves_along, mean_rise_db
from pipelines.measure.objectives import MeasureConfig, available_measures, is_conditional
from pipelines.measure.photographs import Batch, Batches
from pipelines.measure.references import reference_losses
from pipelines.measure.runner import (
    Reading,
    evaluation_mode,
    own_metric,
    read_outputs,
    run_at,
    vertex_losses,
)
from pipelines.measure.settings import Setting, Sweep, grid_settings, slider_sweeps
from pipelines.measure.specialists import Specialist
from pipelines.tasks import Task
from tunable_models import TunableNetwork


@dataclass(frozen=True)
class SettingScore:
    """One setting of the grid.

    Attributes:
        omega: the setting, (P,) in [0, 1].
        objectives: u_1..u_K: the loss of every vertex there, as a share of the reference; smaller is better.
    """

    omega: tuple[float, ...]
    objectives: tuple[float, ...]


@dataclass(frozen=True)
class Score:
    """The score of one network.

    Attributes:
        measures: values by name, see :data:`pipelines.measure.objectives.MEASURES`; those the task has.
        settings: of the grid, for plots of the front; empty with condition controls.
    """

    measures: Mapping[str, float]
    settings: tuple[SettingScore, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON values, which :meth:`parse` reads."""
        settings = [{"omega": list(s.omega), "objectives": list(s.objectives)} for s in self.settings]
        return {"measures": dict(self.measures), "settings": settings}

    @classmethod
    def parse(cls, values: Any) -> Self:
        """The score that :meth:`plain` described.

        Raises:
            DataError: the values are not a score.
        """
        try:
            measures = {str(name): float(value) for name, value in values["measures"].items()}
            settings = tuple(
                SettingScore(
                    tuple(float(value) for value in item["omega"]),
                    tuple(float(value) for value in item["objectives"]),
                )
                for item in values["settings"]
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"expected a score's 'measures' and 'settings', got {values!r}") from error
        return cls(measures, settings)


@dataclass
class _Readings:
    """What was read from the outputs of one network.

    Attributes:
        own: by setting, of the grid and of the specialists.
        objectives: u_1..u_K by setting of the grid; empty with condition controls.
        metrics: along the sliders: a control's own metric of every photograph in dB, by setting and control.
    """

    own: dict[Setting, Reading] = field(default_factory=dict)
    objectives: dict[Setting, tuple[float, ...]] = field(default_factory=dict)
    metrics: dict[tuple[Setting, int], list[float]] = field(default_factory=dict)


class Judge:
    """Scores networks.

    Raises:
        ConfigError: a reference of the wrong length.
        DataError: the photographs say nothing about the task.
    """

    def __init__(
        self, task: Task, photographs: Batches, config: MeasureConfig, specialists: Sequence[Specialist] = ()
    ) -> None:
        self._task, self._photographs, self._specialists = task, photographs, specialists
        self._names, self._tolerance_db = available_measures(task, config), config.tolerance_db
        self._reference = reference_losses(task, photographs, config)
        self._grid = grid_settings(task.space, config.grid)
        self._sweeps = slider_sweeps(task.space, config.steps)

    def __call__(self, network: TunableNetwork) -> Score:
        """The network as it is now; it stays in training mode if it was.

        Raises:
            DataError: a network of other sliders.
            DivergedError: a measure is not finite, at how many settings.
        """
        if network.space != self._task.space:
            raise DataError(
                f"expected a network of the sliders {self._task.space}, got one of {network.space}"
            )
        with evaluation_mode(network), torch.inference_mode():
            readings = self._read_network(network)
        measures = {name: self._formulas[name](readings) for name in self._names}
        return Score(measures, tuple(SettingScore(*item) for item in readings.objectives.items()))

    def _read_network(self, network: TunableNetwork) -> _Readings:
        readings, usual = _Readings(), self._photographs.at_usual_levels()
        along = {(s, sweep.control) for sweep in self._sweeps for s in sweep.settings}
        judged = dict.fromkeys([*self._grid, *(specialist.setting for specialist in self._specialists)])
        for setting in dict.fromkeys([*judged, *(s for sweep in self._sweeps for s in sweep.settings)]):
            omega = torch.tensor(setting)
            run, batches, outputs = run_at(network, omega), None, list[Tensor]()
            if setting in judged:
                batches = self._photographs.at_setting(omega)
                outputs = [run(batch.raw.inputs) for batch in batches]
                self._read_setting(outputs, batches, setting, readings)
            controls = [c for c in range(len(self._task.space)) if (setting, c) in along]
            if controls and batches is not usual:
                outputs = [run(batch.raw.inputs) for batch in usual]
            for control in controls:
                rows = [
                    own_metric(self._task, output, batch.shown, omega, control)
                    for output, batch in zip(outputs, usual, strict=True)
                ]
                readings.metrics[setting, control] = torch.cat(rows).tolist()
        return readings

    def _read_setting(
        self, outputs: list[Tensor], batches: list[Batch], setting: Setting, readings: _Readings
    ) -> None:
        readings.own[setting] = read_outputs(self._task, outputs, batches, setting)
        if setting in self._grid and not is_conditional(self._task):
            losses = vertex_losses(self._task, outputs, batches)
            pairs = zip(losses, self._reference, strict=True)
            readings.objectives[setting] = tuple(loss / unit for loss, unit in pairs)

    @property
    def _formulas(self) -> Mapping[str, Callable[[_Readings], float]]:
        return {
            "hypervolume": self._hypervolume,
            "endpoint_loss": self._endpoint_loss,
            "grid_loss": self._grid_loss,
            "psnr_own": self._psnr_own,
            "violations": self._violations,
            "range_db": self._range_db,
            "specialist_gap_mean": lambda readings: fmean(self._gaps("specialist_gap_mean", readings)),
            "specialist_gap_worst": lambda readings: max(self._gaps("specialist_gap_worst", readings)),
        }

    def _hypervolume(self, readings: _Readings) -> float:
        points = np.array(list(readings.objectives.values()))
        _check_finite("hypervolume", [float(row.sum()) for row in points])
        return hypervolume(points, np.ones(points.shape[1]))

    def _endpoint_loss(self, readings: _Readings) -> float:
        ends = zip(self._task.space.vertices, self._reference, strict=True)
        return fmean(
            _check_finite("endpoint_loss", [readings.own[vertex].loss / unit for vertex, unit in ends])
        )

    def _grid_loss(self, readings: _Readings) -> float:
        return fmean(_check_finite("grid_loss", [readings.own[setting].loss for setting in self._grid]))

    def _psnr_own(self, readings: _Readings) -> float:
        values = [readings.own[setting].psnr for setting in self._grid]
        return fmean(_check_finite("psnr_own", [value for value in values if value is not None]))

    def _violations(self, readings: _Readings) -> float:
        _check_finite("violations", [sum(row) for row in readings.metrics.values()])
        curves = [curve for sweep in self._sweeps for curve in _own_curves(readings, sweep)]
        return count_violations(curves, self._tolerance_db).fraction

    def _range_db(self, readings: _Readings) -> float:
        _check_finite("range_db", [sum(row) for row in readings.metrics.values()])
        return min(mean_rise_db(_own_curves(readings, sweep)) for sweep in self._sweeps)

    def _gaps(self, name: str, readings: _Readings) -> list[float]:
        gaps = [s.decibels - readings.own[s.setting].decibels for s in self._specialists]
        return _check_finite(name, gaps)


def _own_curves(readings: _Readings, sweep: Sweep) -> list[Curve]:
    return curves_along(sweep, lambda setting: readings.metrics[setting, sweep.control])


def _check_finite(name: str, values: list[float]) -> list[float]:
    odd = sum(not math.isfinite(value) for value in values)
    if odd:
        raise DivergedError(
            f"{name} is not finite at {odd} of {len(values)} settings: the network diverged; lower the "
            "learning rate"
        )
    return values
