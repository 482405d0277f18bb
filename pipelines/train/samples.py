"""Sample pictures during training: what the sliders do so far, on one training photograph."""

import io
from pathlib import Path

import torch
from torch import Tensor

from pipelines.data.photos import PhotoSet
from pipelines.pictures import Tile, contact_sheet
from pipelines.records import write_atomic
from pipelines.tasks import Example, Task, make_task
from pipelines.train.config import TrainConfig
from tunable_models import TunableNetwork

CROP_PX = 160


class Samples:
    """Writes ``<folder>/samples/step-<n>.png``.

    Outputs at the ends of the sliders and at their defaults, below them what each of these settings aims
    at, and the inputs and targets.
    """

    def __init__(self, folder: Path, photos: Path, config: TrainConfig) -> None:
        self._folder = folder / "samples"
        self._task: Task = make_task(config.task)
        unit = self._task.scale * config.network.contract().multiple
        self._clean = _centre(PhotoSet.open(photos), unit)
        self._seed = config.seed

    def __call__(self, step: int, network: TunableNetwork) -> None:
        """Write the picture of this step."""
        clean = self._clean.to(network.device)
        example = self._task.degrade(clean, self._task.levels, (self._seed, "sample picture"))
        omegas = _omegas(network).to(network.device)
        with torch.inference_mode():
            outputs = [network.at(omega)(example.inputs) for omega in omegas]
        titles = [_title(network, omega) for omega in omegas]
        rows = [
            [(f"output, {title}", output[0]) for title, output in zip(titles, outputs, strict=True)],
            self._aims(example, omegas, titles),
            [("inputs", example.inputs[0])]
            + [(name, target[0]) for name, target in example.targets.items() if name != "input"],
        ]
        buffer = io.BytesIO()
        contact_sheet([row for row in rows if row]).save(buffer, format="PNG")
        write_atomic(self._folder / f"step-{step:08d}.png", buffer.getvalue())

    def _aims(self, example: Example, omegas: Tensor, titles: list[str]) -> list[Tile]:
        aims = [self._task.aim(example, omega.unsqueeze(0)) for omega in omegas]
        pairs = zip(titles, aims, strict=True)
        return [(f"aim, {title}", aim[0]) for title, aim in pairs if aim is not None]


def _centre(photos: PhotoSet, unit: int) -> Tensor:
    """The middle of the first photograph (1, 3, H, W), sides multiples of ``unit``."""
    photo = torch.from_numpy(photos[0].copy()).permute(2, 0, 1).unsqueeze(0).float() / 255
    height, width = (max(min(side, CROP_PX) // unit * unit, 1) for side in photo.shape[-2:])
    top, left = (photo.shape[-2] - height) // 2, (photo.shape[-1] - width) // 2
    return photo[..., top : top + height, left : left + width]


def _omegas(network: TunableNetwork) -> Tensor:
    """The vertices, and the defaults where they are none of them; (S, P)."""
    space = network.space
    settings = torch.tensor(space.vertices)
    default = space.omega().unsqueeze(0)
    is_vertex = bool((settings == default).all(dim=1).any())
    return settings if is_vertex else torch.cat([settings, default])


def _title(network: TunableNetwork, omega: Tensor) -> str:
    return " ".join(f"{name} {value:g}" for name, value in network.space.values(omega.cpu()).items())
