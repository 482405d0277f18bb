"""What every worker does, whoever started it: check that it runs the driver's code, and train."""

import platform
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.data.photos import PhotoSet
from pipelines.running.fingerprint import code_digest
from pipelines.running.versions import installed_versions
from pipelines.tasks import make_task
from pipelines.training.batches import Share
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.config import TrainConfig
from pipelines.training.log import RunLog
from pipelines.training.loop import Hooks, Job, train
from pipelines.training.metrics import Progress
from pipelines.training.samples import Samples
from tunable_models import TunableNetwork


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A run, as the driver hands it to workers: plain values, which any version can read.

    Attributes:
        config: section ``train`` of the parameters, as JSON values.
        photos: folder of the photographs to train on, readable by every worker.
        validation: folder of held-out photographs; it may be missing.
        folder: state of the run, shared by all workers.
        fingerprint: of the run.
        root: where relative paths in the options start.
        code: digest of the driver's training code.
        versions: of Python and of what makes patches and steps, as the driver has them.
    """

    config: dict[str, Any]
    photos: str
    validation: str
    folder: str
    fingerprint: str
    root: str
    code: str
    versions: dict[str, str]

    @classmethod
    def of(
        cls, config: TrainConfig, photos: Path, validation: Path, folder: Path, fingerprint: str, root: Path
    ) -> "Assignment":
        """That of this process; arguments are the attributes."""
        return cls(
            config=config.model_dump(mode="json"),
            photos=str(photos),
            validation=str(validation),
            folder=str(folder),
            fingerprint=fingerprint,
            root=str(root),
            code=code_digest(),
            versions=installed_versions(),
        )

    def plain(self) -> dict[str, Any]:
        """As builtin types, for other processes."""
        return asdict(self)

    def check(self) -> None:
        """Refuse to train with other code than the driver's: its fingerprint would not be true.

        Raises:
            ConfigError: the node has another version of the package, or of what its numbers depend on.
        """
        wants = {**self.versions, "training code": self.code[:16]}
        has = {**installed_versions(), "training code": code_digest()[:16]}
        for what, wanted in wants.items():  # versions first: other trees of code may be another Python's
            if wanted != (got := has.get(what, "none")):
                raise ConfigError(
                    f"expected the driver's {what} ({wanted}) on node {platform.node()}, got {got}; install "
                    "the same version of tunable-zoo and its dependencies on every node"
                )


def work(assignment: Assignment, share: Share, device: torch.device, hooks: Hooks) -> None:
    """Train a share to the last step.

    Args:
        assignment: of the driver.
        share: of every batch.
        device: of the network.
        hooks: what else happens; log and sample pictures are added here.

    Raises:
        ConfigError: this node has other code than the driver.
        Stopped: somebody asked to.
        TrainingError: the loss is not finite.
    """
    assignment.check()
    config = parse_section(assignment.config, "train", TrainConfig)
    folder, root = Path(assignment.folder), Path(assignment.root)
    cache_bytes = int(config.compute.cache_gb * 1e9)
    held_out = Path(assignment.validation)
    store = CheckpointStore(folder / "checkpoints", assignment.fingerprint, config.compute.keep_checkpoints)
    job = Job(
        config=config,
        photos=PhotoSet.open(Path(assignment.photos), cache_bytes),
        store=store,
        share=share,
        device=device,
        validation=PhotoSet.open(held_out, cache_bytes) if held_out.is_dir() else None,
        root=root,
    )
    train(job, _leading(hooks, job, folder) if job.leads else hooks)


def _leading(hooks: Hooks, job: Job, folder: Path) -> Hooks:
    """The hooks of the worker that writes log and sample pictures for all."""
    log = RunLog(folder)

    def report(progress: Progress) -> None:
        log.append(progress)
        hooks.report(progress)

    samples = Samples(folder, job.photos, make_task(job.config.task, job.root), job.config)

    def at_checkpoint(step: int, network: TunableNetwork) -> None:
        samples(step, network)
        hooks.at_checkpoint(step, network)

    return replace(hooks, report=report, at_checkpoint=at_checkpoint)
