"""Networks that are good at one setting, and what they give there."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipelines.core.errors import ConfigError, DataError
from pipelines.core.trained import load_folder
from pipelines.measure.settings import DIGITS, Setting
from pipelines.search.scoring.crops import Crops
from pipelines.search.scoring.measure_config import SpecialistConfig
from pipelines.search.scoring.reading import read
from pipelines.tasks import Task
from tunable_models import ControlSpace, TunableError
from zoo.tiling import pad_to_multiple


@dataclass(frozen=True)
class Specialist:
    """What was measured of one.

    Attributes:
        setting: where.
        decibels: how good it is there, see :attr:`pipelines.search.scoring.reading.Reading.decibels`.
    """

    setting: Setting
    decibels: float


@torch.inference_mode()
def measured(
    configs: Sequence[SpecialistConfig], task: Task, crops: Crops, root: Path, device: torch.device
) -> list[Specialist]:
    """Run every specialist at its setting, on the input that the setting stands for.

    Args:
        configs: where they are, and what they are good at.
        task: which judges them.
        crops: the photographs.
        root: where relative folders begin.
        device: where they run.

    Raises:
        ConfigError: a setting that the task or the specialist does not have.
        DataError: a folder without a trained network, or with one of another task or scale.
    """
    return [_measured(config, task, crops, root / config.train, device) for config in configs]


def _measured(
    config: SpecialistConfig, task: Task, crops: Crops, folder: Path, device: torch.device
) -> Specialist:
    network, record = load_folder(folder)
    contract = network.spec.contract
    _check_task(record, contract.scale, task, folder)
    setting = _setting(task.space, config)
    view = network.to(device).at(_omega(network.space, config).to(device))
    batches = crops.faced(torch.tensor(setting))

    def output(inputs: Tensor) -> Tensor:
        height, width = (contract.scale * side for side in inputs.shape[-2:])
        padded: Tensor = view(pad_to_multiple(inputs, contract.multiple))
        return padded[..., :height, :width]

    outputs = [output(batch.raw.inputs) for batch in batches]
    return Specialist(setting, read(task, outputs, batches, setting).decibels)


def _check_task(record: dict[str, Any], scale: int, task: Task, folder: Path) -> None:
    if (record.get("task"), scale) != (task.name, task.scale):
        raise DataError(
            f"expected a specialist for {task.name} at scale {task.scale} in {folder}, got one for "
            f"{record.get('task')} at scale {scale}; name another in search.measure.specialists"
        )


def _setting(space: ControlSpace, config: SpecialistConfig) -> Setting:
    return tuple(round(value, DIGITS) for value in _omega(space, config).tolist())


def _omega(space: ControlSpace, config: SpecialistConfig) -> Tensor:
    try:
        return space.omega(config.at)
    except TunableError as error:
        raise ConfigError(f"params.yaml: search.measure.specialists: at {config.at}: {error}") from error
