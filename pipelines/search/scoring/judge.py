"""How good the slider of a network is, in numbers that one network shares with the next.

Photographs x are degraded as the task's usual levels say, always alike. L(y, w) is the task's loss of
output y at setting w and L_k(y) = L(y, v_k) that of vertex v_k of the sliders' space, means over the
photographs; f is the network, G the settings of the grid, r_k the reference
(:mod:`pipelines.search.scoring.reference`). With u_k(w) = L_k(f(x, w)) / r_k,

    hypervolume     H({u(w): w in G}, 1): the volume of [0, 1]^K that some setting dominates
    endpoint_loss   1/K sum_k u_k(v_k): each end by its own objective
    grid_loss       1/|G| sum over G of L(f(x, w), w)
    psnr_own        1/|G| sum over G of PSNR(f(x, w), what w asks for), dB
    violations      share of steps along the sliders where the slider's own metric falls by more than the
                    tolerance, each step of each photograph counted once
    range_db        smallest over the sliders of the rise of their own metric from end to end, mean over
                    the photographs, dB; a dead slider has no violations, and no range either
    specialist_gap  PSNR(specialist) - PSNR(f) at the specialist's setting, dB; without a picture to aim
                    at 10 log10 of L(f) / L(specialist)

where PSNR is of pictures within [0, 1], and a mean of each photograph's. A control that names what the
network faces comes with the input that it names: losses, PSNR and gaps at w are on x degraded so, and
r_k is the inputs' own loss. Steps along a slider are on the usual input, which is what a person has.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from pipelines.core.errors import DataError, DivergedError
from pipelines.measure.monotonicity import count, range_db
from pipelines.measure.settings import Setting, Sweep, grid, sweeps
from pipelines.search.scoring.crops import Batch, Crops
from pipelines.search.scoring.hypervolume import hypervolume
from pipelines.search.scoring.measure_config import MeasureConfig
from pipelines.search.scoring.measures import is_conditional, measures_of
from pipelines.search.scoring.reading import Reading, progress, read, vertex_losses
from pipelines.search.scoring.reference import reference
from pipelines.search.scoring.score import Score, SettingScore
from pipelines.search.scoring.specialists import Specialist
from pipelines.tasks import Task
from pipelines.training.validation import evaluating
from tunable_models import TunableNetwork

Rows = Mapping[tuple[Setting, int], list[float]]
"""A control's own metric of every photograph in dB, by setting and control."""


@dataclass
class Seen:
    """What the outputs of one network were.

    Attributes:
        readings: by setting, of the grid and of the specialists.
        objectives: u_1..u_K by setting of the grid; empty where controls name what the network faces.
        progress: along the sliders.
    """

    readings: dict[Setting, Reading] = field(default_factory=dict)
    objectives: dict[Setting, tuple[float, ...]] = field(default_factory=dict)
    progress: dict[tuple[Setting, int], list[float]] = field(default_factory=dict)


class Judge:
    """Scores networks.

    Args:
        task: says what settings ask for.
        crops: the photographs.
        config: which settings.
        specialists: what specialists gave.

    Raises:
        ConfigError: a reference of the wrong length.
        DataError: the photographs say nothing about the task.
    """

    def __init__(
        self, task: Task, crops: Crops, config: MeasureConfig, specialists: Sequence[Specialist] = ()
    ) -> None:
        self._task, self._crops, self._specialists = task, crops, specialists
        self._names, self._tolerance_db = measures_of(task, config), config.tolerance_db
        self._reference = reference(task, crops, config)
        self._grid, self._sweeps = grid(task.space, config.grid), sweeps(task.space, config.steps)

    def __call__(self, network: TunableNetwork) -> Score:
        """The network as it is now; it stays in training if it was.

        Raises:
            DataError: a network of other sliders.
            DivergedError: a measure is no finite number, at how many settings.
        """
        if network.space != self._task.space:
            raise DataError(
                f"expected a network of the sliders {self._task.space}, got one of {network.space}"
            )
        with evaluating(network), torch.inference_mode():
            seen = self._look(network)
        measures = {name: self._ways[name](seen) for name in self._names}
        return Score(measures, tuple(SettingScore(*item) for item in seen.objectives.items()))

    def _look(self, network: TunableNetwork) -> Seen:
        seen = Seen()
        along = {(s, sweep.control) for sweep in self._sweeps for s in sweep.settings}
        judged = dict.fromkeys([*self._grid, *(specialist.setting for specialist in self._specialists)])
        for setting in dict.fromkeys([*judged, *(s for sweep in self._sweeps for s in sweep.settings)]):
            outputs = _Outputs(network, setting)
            if setting in judged:
                self._read(outputs, setting, seen)
            for control in range(len(self._task.space)):
                if (setting, control) in along:
                    usual = self._crops.usual()
                    rows = progress(self._task, outputs(usual), usual, setting, control)
                    seen.progress[setting, control] = rows
        return seen

    def _read(self, outputs: "_Outputs", setting: Setting, seen: Seen) -> None:
        batches = self._crops.faced(torch.tensor(setting))
        seen.readings[setting] = read(self._task, outputs(batches), batches, setting)
        if setting in self._grid and not is_conditional(self._task):
            losses = vertex_losses(self._task, outputs(batches), batches)
            pairs = zip(losses, self._reference, strict=True)
            seen.objectives[setting] = tuple(loss / unit for loss, unit in pairs)

    @property
    def _ways(self) -> Mapping[str, Callable[[Seen], float]]:
        return {
            "hypervolume": self._hypervolume,
            "endpoint_loss": self._endpoint_loss,
            "grid_loss": self._grid_loss,
            "psnr_own": self._psnr_own,
            "violations": self._violations,
            "range_db": self._range_db,
            "specialist_gap_mean": lambda seen: fmean(self._gaps("specialist_gap_mean", seen)),
            "specialist_gap_worst": lambda seen: max(self._gaps("specialist_gap_worst", seen)),
        }

    def _hypervolume(self, seen: Seen) -> float:
        points = np.array(list(seen.objectives.values()))
        _check("hypervolume", [float(row.sum()) for row in points])
        return hypervolume(points, np.ones(points.shape[1]))

    def _endpoint_loss(self, seen: Seen) -> float:
        ends = zip(self._task.space.vertices, self._reference, strict=True)
        return fmean(_check("endpoint_loss", [seen.readings[vertex].loss / unit for vertex, unit in ends]))

    def _grid_loss(self, seen: Seen) -> float:
        return fmean(_check("grid_loss", [seen.readings[setting].loss for setting in self._grid]))

    def _psnr_own(self, seen: Seen) -> float:
        values = [seen.readings[setting].psnr for setting in self._grid]
        return fmean(_check("psnr_own", [value for value in values if value is not None]))

    def _violations(self, seen: Seen) -> float:
        _check("violations", [sum(row) for row in seen.progress.values()])
        curves = [curve for sweep in self._sweeps for curve in _curves(seen.progress, sweep)]
        return count(curves, self._tolerance_db).fraction

    def _range_db(self, seen: Seen) -> float:
        _check("range_db", [sum(row) for row in seen.progress.values()])
        return min(range_db(_curves(seen.progress, sweep)) for sweep in self._sweeps)

    def _gaps(self, name: str, seen: Seen) -> list[float]:
        gaps = [s.decibels - seen.readings[s.setting].decibels for s in self._specialists]
        return _check(name, gaps)


class _Outputs:
    """A network at one setting; what it gave for batches is kept, because several measures ask."""

    def __init__(self, network: TunableNetwork, setting: Setting) -> None:
        self._device = network.device
        self._view = network.at(torch.tensor(setting, device=self._device))
        self._kept: list[tuple[Sequence[Batch], list[Tensor]]] = []

    def __call__(self, batches: Sequence[Batch]) -> list[Tensor]:
        for known, outputs in self._kept:
            if known is batches:
                return outputs
        outputs = [self._run(batch.raw.inputs) for batch in batches]
        self._kept.append((batches, outputs))
        return outputs

    def _run(self, inputs: Tensor) -> Tensor:
        output: Tensor = self._view(inputs.to(self._device))
        return output.to(inputs.device)


def _curves(rows: Rows, sweep: Sweep) -> list[list[float]]:
    columns = [rows[setting, sweep.control] for setting in sweep.settings]
    return [list(curve) for curve in zip(*columns, strict=True)]


def _check(name: str, values: list[float]) -> list[float]:
    odd = sum(not math.isfinite(value) for value in values)
    if odd:
        raise DivergedError(
            f"{name} is not a finite number at {odd} of {len(values)} settings: the network diverged; lower "
            "the learning rate"
        )
    return values
