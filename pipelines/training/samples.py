"""Sample pictures during training: the effect of the sliders so far, on one training photograph."""

import io
from pathlib import Path

import torch
from torch import Tensor

from pipelines.core.contact_sheet import Tile, contact_sheet
from pipelines.core.errors import TrainingError, explain_full_disk
from pipelines.core.records import write_atomic
from pipelines.data.photos import PhotoSet
from pipelines.measure.photographs import CenterCrops
from pipelines.measure.settings import setting_name, vertices_and_default
from pipelines.tasks import Example, Task
from pipelines.training.config import TrainConfig
from tunable_models import TunableNetwork

CROP_PX = 160


class Samples:
    """Writes ``<folder>/samples/step-<n>.png``.

    Outputs at the ends of the sliders and at their defaults, below them what each of these settings asks
    for, and the inputs and targets.
    """

    def __init__(self, folder: Path, photos: PhotoSet, task: Task, config: TrainConfig) -> None:
        self._folder, self._task, self._seed = folder / "samples", task, config.seed
        self._clean = CenterCrops(photos, CROP_PX, task.scale * config.network.contract().multiple)[0]

    def __call__(self, step: int, network: TunableNetwork) -> None:
        """Write the picture of this step.

        Raises:
            TrainingError: the disk is full.
        """
        clean = self._clean.to(network.device)
        example = self._task.degrade(clean, self._task.levels, (self._seed, "sample picture"))
        omegas = vertices_and_default(network.space).to(network.device)
        with torch.inference_mode():
            outputs = [network.at(omega)(example.inputs) for omega in omegas]
        titles = [setting_name(network.space, omega) for omega in omegas]
        rows = [
            [(f"output, {title}", output[0]) for title, output in zip(titles, outputs, strict=True)],
            self._target_tiles(example, omegas, titles),
            [("inputs", example.inputs[0])]
            + [(name, target[0]) for name, target in example.targets.items() if name != "input"],
        ]
        buffer = io.BytesIO()
        contact_sheet([row for row in rows if row]).save(buffer, format="PNG")
        room = f"room for the sample picture of step {step}"
        with explain_full_disk(self._folder, "free some and run again", room=room, kind=TrainingError):
            write_atomic(self._folder / f"step-{step:08d}.png", buffer.getvalue())

    def _target_tiles(self, example: Example, omegas: Tensor, titles: list[str]) -> list[Tile]:
        targets = [self._task.target(example, omega.unsqueeze(0)) for omega in omegas]
        pairs = zip(titles, targets, strict=True)
        return [(f"target, {title}", target[0]) for title, target in pairs if target is not None]
