"""Sample pictures during training: what the sliders do so far, on one training photograph."""

import io
from pathlib import Path

import torch
from torch import Tensor

from pipelines.data.photos import PhotoSet
from pipelines.pictures import contact_sheet
from pipelines.records import write_atomic
from pipelines.tasks import Task, make_task
from pipelines.train.config import TrainConfig
from tunable_models import TunableNetwork

CROP_PX = 160


class Samples:
    """Writes ``<folder>/samples/step-<n>.png``: the outputs at the corners, beside their targets."""

    def __init__(self, folder: Path, photos: Path, config: TrainConfig) -> None:
        self._folder = folder / "samples"
        self._task: Task = make_task(config.task)
        self._clean = _centre(PhotoSet.open(photos))
        self._seed = config.seed

    def __call__(self, step: int, network: TunableNetwork) -> None:
        """Write the picture of this step."""
        clean = self._clean.to(network.device)
        degraded = self._task.sample(clean, [(self._seed, "sample picture")])
        titles = [_title(network, vertex) for vertex in self._task.space.vertices]
        with torch.inference_mode():
            outputs = [
                network.at(torch.tensor(v, device=network.device))(degraded.inputs)
                for v in self._task.space.vertices
            ]
        rows = [
            [(f"output, {title}", output[0]) for title, output in zip(titles, outputs, strict=True)],
            [(f"target, {title}", target) for title, target in zip(titles, degraded.targets[0], strict=True)],
        ]
        buffer = io.BytesIO()
        contact_sheet(rows).save(buffer, format="PNG")
        write_atomic(self._folder / f"step-{step:08d}.png", buffer.getvalue())


def _centre(photos: PhotoSet) -> Tensor:
    photo = torch.from_numpy(photos[0].copy()).permute(2, 0, 1).unsqueeze(0).float() / 255
    top, left = (max(0, (side - CROP_PX) // 2) for side in photo.shape[-2:])
    return photo[..., top : top + CROP_PX, left : left + CROP_PX]


def _title(network: TunableNetwork, vertex: tuple[float, ...]) -> str:
    return " ".join(f"{name} {value:g}" for name, value in zip(network.space.names, vertex, strict=True))
