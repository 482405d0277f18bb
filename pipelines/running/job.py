"""The training job: what the driver hands to every worker, and what a worker does with it."""

import platform
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import torch

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.core.layout import Layout
from pipelines.data.photos import PhotoSet
from pipelines.running.fingerprint import code_digest, installed_versions
from pipelines.tasks import make_task
from pipelines.training.batches import Share
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.config import TrainConfig
from pipelines.training.learner import select_result
from pipelines.training.log import Progress, RunLog
from pipelines.training.loop import Hooks, LoopInputs, run_training_loop
from pipelines.training.samples import Samples
from tunable_models import TunableNetwork, load_network


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """A run, as driver, local runner, torchrun and Ray workers carry it; picklable.

    Attributes:
        config: section ``train`` of the parameters.
        photos: folder of the photographs to train on, readable by every worker.
        validation: folder of held-out photographs; it may be missing.
        folder: state of the run, shared by all workers.
        fingerprint: of the run.
        root: where relative paths in the options start.
        code: digest of the driver's training code.
        versions: of Python and of the packages that the numbers depend on, on the driver.
    """

    config: TrainConfig
    photos: Path
    validation: Path
    folder: Path
    fingerprint: str
    root: Path
    code: str = field(default_factory=code_digest)
    versions: dict[str, str] = field(default_factory=installed_versions)

    @classmethod
    def from_layout(cls, config: TrainConfig, layout: Layout, *, folder: Path, fingerprint: str) -> Self:
        """The job on the photographs of a work tree, with the code of this process."""
        return cls(
            config=config,
            photos=layout.prepare / "train",
            validation=layout.prepare / "validation",
            folder=folder,
            fingerprint=fingerprint,
            root=layout.root,
        )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The job that :meth:`to_dict` describes.

        Raises:
            ConfigError: this version of the package does not know its options.
        """
        paths = {name: Path(values[name]) for name in ("photos", "validation", "folder", "root")}
        return cls(**{**values, **paths, "config": parse_section(values["config"], "train", TrainConfig)})

    def to_dict(self) -> dict[str, Any]:
        """The job as JSON values."""
        plain = {name: str(value) if isinstance(value, Path) else value for name, value in vars(self).items()}
        return plain | {"config": self.config.model_dump(mode="json")}

    @property
    def store(self) -> CheckpointStore:
        """The checkpoints of the run."""
        return CheckpointStore.of_run(self.folder, self.fingerprint, self.config.compute)

    def load_network(self, step: int | None = None) -> TunableNetwork:
        """The network, or its moving average, after a step, by default the last one; frozen, on the CPU.

        Raises:
            CheckpointError: there is no complete checkpoint of that step.
        """
        space = make_task(self.config.task, self.root).space
        state = select_result(self.store.load(self.config.steps if step is None else step))
        return load_network(self.config.network.spec(space), state)

    def check_node(self) -> None:
        """Refuse to train with other code than the driver's, which the fingerprint stands for.

        Raises:
            ConfigError: this node has another version of the package or of what its numbers depend on.
        """
        expected = {**self.versions, "training code": self.code[:16]}
        found = {**installed_versions(), "training code": code_digest()[:16]}
        for what, wanted in expected.items():  # versions first: another Python has other syntax trees
            if wanted != (got := found.get(what, "none")):
                raise ConfigError(
                    f"expected the driver's {what} ({wanted}) on node {platform.node()}, got {got}; install "
                    "the same version of tunable-zoo and its dependencies on every node"
                )


def run_worker(job: TrainJob, share: Share, device: torch.device, hooks: Hooks) -> None:
    """Train a share of every batch to the last step.

    Args:
        job: of the driver.
        share: of this worker.
        device: of the network.
        hooks: further callbacks; the main worker also writes the run log and sample pictures.

    Raises:
        ConfigError: this node has other code than the driver.
        Stopped: a worker was asked to stop.
        TrainingError: the loss is not finite.
    """
    job.check_node()
    cache_bytes = int(job.config.compute.cache_gb * 1e9)
    inputs = LoopInputs(
        config=job.config,
        photos=PhotoSet.open(job.photos, cache_bytes),
        store=job.store,
        share=share,
        device=device,
        validation=PhotoSet.open(job.validation, cache_bytes) if job.validation.is_dir() else None,
        root=job.root,
    )
    run_training_loop(inputs, _add_outputs(hooks, job, inputs.photos) if inputs.is_main else hooks)


def _add_outputs(hooks: Hooks, job: TrainJob, photos: PhotoSet) -> Hooks:
    """The hooks of the main worker: also write the run log and sample pictures."""
    log = RunLog(job.folder)
    samples = Samples(job.folder, photos, make_task(job.config.task, job.root), job.config)

    def report(progress: Progress) -> None:
        log.append(progress)
        hooks.report(progress)

    def at_checkpoint(step: int, network: TunableNetwork) -> None:
        samples(step, network)
        hooks.at_checkpoint(step, network)

    return replace(hooks, report=report, at_checkpoint=at_checkpoint)
