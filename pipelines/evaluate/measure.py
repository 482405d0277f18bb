"""Running the network at every setting on every test photograph."""

import time
from collections.abc import Callable

import torch

from pipelines.data.photos import PhotoSet
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.scores import CLEAN, Score, Scores, degrade, score
from pipelines.evaluate.settings import Setting, grid, sweeps
from pipelines.perceptual import LPIPS
from pipelines.tasks import Task
from tunable_models import ControlSpace, TunableNetwork

PRINT_EVERY_S = 5.0


def measure(
    network: TunableNetwork, task: Task, photos: PhotoSet, config: EvaluateConfig, lpips: LPIPS
) -> tuple[list[Score], Scores]:
    """Scores of the degraded inputs, one a photograph, and of the outputs at every setting.

    Args:
        network: ready for inference on the CPU.
        task: degrades the photographs and says what each setting aims at.
        photos: whole in memory one at a time.
        config: how to degrade, and which settings.
        lpips: the perceptual metric.

    Raises:
        DataError: a photograph is too small to be measured.
    """
    settings = _settings(network.space, config)
    inputs: list[Score] = []
    scores: dict[Setting, list[Score]] = {setting: [] for setting in settings}
    tick = _ticker(len(photos) * len(settings))
    with torch.inference_mode():
        for index in range(len(photos)):
            degraded = degrade(photos, index, task, config)
            clean = degraded.targets[:, CLEAN]
            inputs.append(score(degraded.inputs, degraded.targets, clean, lpips))
            for setting in settings:
                omega = torch.tensor(setting)
                output = network.at(omega)(degraded.inputs)
                own = task.blend(degraded.targets, omega.unsqueeze(0))
                scores[setting].append(score(output, degraded.targets, own, lpips))
                tick()
    return inputs, scores


def _settings(space: ControlSpace, config: EvaluateConfig) -> list[Setting]:
    """The grid and the sweeps, each setting once."""
    along = [setting for sweep in sweeps(space, config.steps) for setting in sweep.settings]
    return list(dict.fromkeys([*grid(space, config.grid), *along]))


def _ticker(total: int) -> Callable[[], None]:
    """To be called after each output; prints a line now and then, and at the end."""
    done, began = 0, time.monotonic()
    printed = began

    def tick() -> None:
        nonlocal done, printed
        done, now = done + 1, time.monotonic()
        if done == total or now - printed >= PRINT_EVERY_S:
            printed = now
            rate = done / max(now - began, 1e-6)
            left_s = (total - done) / rate
            print(f"evaluate  {done}/{total} outputs  {rate:.1f} images/s  {left_s:.0f} s left", flush=True)

    return tick
