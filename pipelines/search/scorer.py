"""The score of a network on held-out photographs, as something that travels to other processes."""

import platform
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch

from pipelines.core.errors import ConfigError, DataError
from pipelines.core.layout import Layout
from pipelines.data.photos import PhotoSet
from pipelines.measure.judge import Judge, Score
from pipelines.measure.objectives import MeasureConfig
from pipelines.measure.photographs import Batches, CenterCrops, Photographs
from pipelines.measure.settings import vertex_name
from pipelines.measure.specialists import measure_specialists
from pipelines.running.fingerprint import code_digest
from pipelines.tasks import SuperResolutionConfig, TaskConfig, make_task
from pipelines.training.config import TrainConfig
from tunable_models import TunableNetwork

SCORING_CODE = ("pipelines/measure", "pipelines/search/scorer.py", "pipelines/core/trained.py")
"""Files and folders whose code can change a score, beside the training code."""


def scoring_digest() -> str:
    """SHA-256 of this installation's scoring code; scores of two versions do not compare."""
    return code_digest(items=SCORING_CODE)


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """Scores networks, each by the same photographs, noise and loss.

    It pickles as its options; photographs, degraded examples and specialists are loaded where and when
    they are first needed, and kept.

    Attributes:
        task: whose loss and sliders count; one for all networks, whatever each was trained with.
        photos: folder of the validation photographs.
        config: which of them, and which settings.
        root: where relative paths in the options begin.
        unit: sides of clean crops are multiples of it: the task's scale times the ``multiple`` of the
            networks' contract.
        seed: of the noise, which every network gets.
        device: where pictures are and losses are computed; a network may be elsewhere.
        code: digest of the scoring code; where another one is installed nothing is scored.
    """

    task: TaskConfig
    photos: Path
    config: MeasureConfig = field(default_factory=MeasureConfig)
    root: Path = Path()
    unit: int = 1
    seed: int = 0
    device: str = "cpu"
    code: str = field(default_factory=scoring_digest)

    @classmethod
    def of(cls, train: TrainConfig, config: MeasureConfig, layout: Layout) -> Self:
        """For networks like the one that section ``train`` of a work tree's parameters trains."""
        task = make_task(train.task, layout.root)
        return cls(
            task=train.task,
            photos=layout.prepare / "validation",
            config=config,
            root=layout.root,
            unit=task.scale * train.network.contract().multiple,
            device="cuda" if train.compute.use_gpu else "cpu",
        )

    @property
    def vertices(self) -> tuple[str, ...]:
        """What the K losses of a score's settings ask for: the sliders that are up, for figures."""
        space = make_task(self.task, self.root).space
        return tuple(vertex_name(space, vertex) for vertex in space.vertices)

    def __call__(self, network: TunableNetwork) -> Score:
        """Score the network as it is now; it stays in training mode if it was.

        Raises:
            ConfigError, DataError: as for :meth:`prepare`.
            DivergedError: a measure is not finite.
        """
        return self._judge(network)

    def prepare(self) -> None:
        """Load everything, so that a mistake is reported before any network is trained.

        On the CPU: the machine that asks need not have the GPU that networks are scored on.

        Raises:
            ConfigError: options that do not fit the task or each other.
            DataError: photographs are missing or too small, or a specialist cannot be read.
        """
        here = self if self.device == "cpu" else replace(self, device="cpu")
        here._judge  # noqa: B018

    @cached_property
    def _judge(self) -> Judge:
        if (here := scoring_digest()) != self.code:
            raise ConfigError(
                f"expected the driver's scoring code ({self.code[:16]}) on node {platform.node()}, got "
                f"{here[:16]}; install the same version of tunable-zoo on every node, and leave it while a "
                "search runs"
            )
        device = torch.device(self.device)
        task = make_task(without_critic(self.task), self.root).to(device)
        photographs = Photographs(task, self._open_crops(), (self.seed, "search"), device=device)
        batches = Batches(photographs, range(len(photographs)), self.config.batch)
        specialists = measure_specialists(self.config.specialists, task, batches, self.root, device)
        return Judge(task, batches, self.config, specialists)

    def _open_crops(self) -> CenterCrops:
        config = self.config
        if config.crop_px % self.unit:
            raise ConfigError(
                f"params.yaml: search.measure.crop_px {config.crop_px} must be a multiple of {self.unit}, "
                "for the network's inputs"
            )
        photos = PhotoSet.open(self.photos)
        wanted = config.photos or max(len(photos), 1)
        if wanted > len(photos):
            raise DataError(
                f"expected {wanted} validation photographs at least, got {len(photos)}; raise "
                "prepare.validation_photos" + (" or lower search.measure.photos" if len(photos) else "")
            )
        return CenterCrops(photos, config.crop_px, self.unit, count=wanted, min_side_px=config.crop_px)

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def without_critic(config: TaskConfig) -> TaskConfig:
    """The task that networks are scored by: each network has a critic of its own, so no critic counts."""
    if isinstance(config, SuperResolutionConfig):
        return config.model_copy(update={"adversarial_scale": 0.0})
    return config
