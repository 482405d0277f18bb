"""Specialists: networks that are good at one setting, as a yardstick for the tunable one there."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pipelines.core.errors import ConfigError, DataError
from pipelines.core.trained import load_folder
from pipelines.measure.objectives import SpecialistConfig
from pipelines.measure.photographs import Batches
from pipelines.measure.runner import read_outputs
from pipelines.measure.settings import DIGITS, Setting
from pipelines.measure.trained import TrainedRunner
from pipelines.tasks import Task
from tunable_models import ControlSpace, TunableError


@dataclass(frozen=True)
class Specialist:
    """What was measured of one.

    Attributes:
        setting: where.
        decibels: how good it is there, see :attr:`pipelines.measure.runner.Reading.decibels`.
    """

    setting: Setting
    decibels: float


@torch.inference_mode()
def measure_specialists(
    configs: Sequence[SpecialistConfig], task: Task, photographs: Batches, root: Path, device: torch.device
) -> list[Specialist]:
    """Run every specialist at its setting, on the input that the setting stands for.

    Raises:
        ConfigError: a setting that the task or the specialist does not have.
        DataError: a folder without a trained network, or with one of another task or scale.
    """
    return [_measure_specialist(config, task, photographs, root / config.train, device) for config in configs]


def _measure_specialist(
    config: SpecialistConfig, task: Task, photographs: Batches, folder: Path, device: torch.device
) -> Specialist:
    network, record = load_folder(folder)
    contract = network.spec.contract
    if (record.get("task"), contract.scale) != (task.name, task.scale):
        raise DataError(
            f"expected a specialist for {task.name} at scale {task.scale} in {folder}, got one for "
            f"{record.get('task')} at scale {contract.scale}; name another in search.measure.specialists"
        )
    setting = tuple(round(value, DIGITS) for value in _parse_setting(task.space, config).tolist())
    run = TrainedRunner(network.to(device), contract).run_at(_parse_setting(network.space, config))
    batches = photographs.at_setting(torch.tensor(setting))
    outputs = [run(batch.raw.inputs) for batch in batches]
    return Specialist(setting, read_outputs(task, outputs, batches, setting).decibels)


def _parse_setting(space: ControlSpace, config: SpecialistConfig) -> Tensor:
    try:
        return space.omega(config.at)
    except TunableError as error:
        raise ConfigError(f"params.yaml: search.measure.specialists: at {config.at}: {error}") from error
