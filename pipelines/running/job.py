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
from pipelines.running.fingerprint import code_digest, digest_code, installed_versions
from pipelines.running.registrations import Registrations, digest_plugins
from pipelines.tasks import make_task
from pipelines.training.batches import Share
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.config import TrainConfig
from pipelines.training.learner import select_result
from pipelines.training.log import Progress, RunLog
from pipelines.training.loop import Hooks, LoopInputs, run_training_loop
from pipelines.training.samples import Samples
from tunable_models import TunableNetwork


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
        registrations: what calls in the driver's process registered, of what the run uses.
        plugins: digests of the code of others, by file, on the driver.
    """

    config: TrainConfig
    photos: Path
    validation: Path
    folder: Path
    fingerprint: str
    root: Path
    code: str = field(default_factory=code_digest)
    versions: dict[str, str] = field(default_factory=installed_versions)
    registrations: Registrations = field(default_factory=Registrations)
    plugins: dict[str, str] = field(default_factory=dict)

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
            registrations=Registrations.of(config),
            plugins=digest_plugins(config),
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
        """The job as JSON values, for options that only name what every process knows."""
        values = {name: value for name, value in vars(self).items() if name != "registrations"}
        plain = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
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
        return self.config.network.load(space, state)

    def check_node(self) -> None:
        """Refuse to train with other code than the driver's, which the fingerprint stands for.

        Raises:
            ConfigError: this node has another version of the package or of what its numbers depend on.
        """
        expected = {**self.versions, "training code": self.code[:16]}
        found = {**installed_versions(), "training code": code_digest()[:16]}
        if self.plugins and self.registrations == Registrations():  # what travelled is the driver's
            expected["code of plug-ins"] = _shorten(self.plugins)
            found["code of plug-ins"] = _shorten(digest_plugins(self.config))
        for what, wanted in expected.items():
            if wanted != (got := found.get(what, "none")):
                raise ConfigError(
                    f"expected the driver's {what} ({wanted}) on node {platform.node()}, got {got}; install "
                    "the same version of tunable-zoo, its plug-ins and dependencies on every node"
                )


def _shorten(digests: dict[str, str]) -> str:
    return digest_code(digests)[:16]


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
    job.registrations.apply()
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
