"""Options of the ``train`` stage, section ``train`` of ``params.yaml``."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from pipelines.config import Section
from pipelines.tasks import DenoiseDeblurConfig, TaskConfig, make_task
from pipelines.train.network import NetworkConfig
from pipelines.train.sampling import SamplingConfig
from tunable_models import TunableError
from tunable_models.bases import make_basis


class OptimizerConfig(Section):
    """Adam with a linear warm-up, a cosine decay to zero, and clipped gradients."""

    lr: float = Field(default=0.002, gt=0)
    """Peak learning rate."""
    warmup_steps: int = Field(default=50, ge=0)
    """Steps from 0 to the peak."""
    critic_lr: float = Field(default=0.0002, gt=0)
    """Learning rate of the task's critic, where it has one; constant."""
    clip_norm: float = Field(default=1.0, gt=0)
    """Largest L2 norm of the whole gradient; longer ones are scaled down."""


class ComputeConfig(Section):
    """Where the run happens. Not part of its identity: a run may resume on other machines."""

    runner: Literal["ray", "local"] = "ray"
    """Ray Train, or this process alone without Ray."""
    workers: int = Field(default=2, ge=1)
    """Ray Train workers; each takes its share of every batch."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of each worker."""
    use_gpu: bool = False
    """One GPU for each worker."""
    address: str | None = None
    """A Ray cluster to join, as RAY_ADDRESS would say; none starts a private one for this stage."""
    max_failures: int = Field(default=2, ge=0)
    """How often Ray restarts the workers from the last checkpoint."""


class TrainConfig(Section):
    """All of section ``train``."""

    task: TaskConfig = DenoiseDeblurConfig()
    network: NetworkConfig = NetworkConfig()
    sampling: SamplingConfig = SamplingConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    compute: ComputeConfig = ComputeConfig()
    seed: int = Field(default=0, ge=0)
    """Key of every random stream."""
    steps: int = Field(default=2000, ge=1)
    """Optimizer steps."""
    batch_size: int = Field(default=16, ge=1)
    """Patches a step, over all workers."""
    patch_px: int = Field(default=48, ge=8)
    """Side of a training patch."""
    log_every: int = Field(default=20, ge=1)
    """Steps between points of the loss curve."""
    checkpoint_every: int = Field(default=200, ge=1)
    """Steps between checkpoints."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        task = make_task(self.task)
        try:
            make_basis(self.network.basis, task.space)
            self.sampling.sampler(task.space, self.batch_size // self.sampling.group or 1)
            contract = self.network.contract()
        except TunableError as error:
            raise ValueError(str(error)) from error
        if contract.scale != task.scale:
            wanted = f"enlarges a picture {task.scale} times" if task.scale > 1 else "keeps a picture's size"
            raise ValueError(f"{task.name} {wanted}, network.config enlarges it {contract.scale} times")
        if self.patch_px < task.min_patch_px:
            raise ValueError(
                f"patch_px {self.patch_px} is less than the {task.min_patch_px} px that the task's critic "
                "needs; use larger patches or lower task.critic.depth"
            )
        unit = contract.multiple * contract.scale
        if self.patch_px % unit:
            raise ValueError(
                f"patch_px {self.patch_px} must be a multiple of {unit}, for the inputs of "
                f"{self.network.architecture} at scale {contract.scale}"
            )
        return self

    @model_validator(mode="after")
    def _divides(self) -> Self:
        workers = self.compute.workers if self.compute.runner == "ray" else 1
        if self.batch_size % (workers * self.sampling.group):
            raise ValueError(
                f"batch_size {self.batch_size} must be a multiple of compute.workers ({workers}) times "
                f"sampling.group ({self.sampling.group})"
            )
        if self.checkpoint_every % self.log_every:
            # The loss is looked at when it is logged, so nothing unsound is ever checkpointed.
            raise ValueError(
                f"checkpoint_every {self.checkpoint_every} must be a multiple of log_every {self.log_every}"
            )
        return self

    def identity(self) -> dict[str, Any]:
        """What defines the numbers of the run: everything but where it happens."""
        return self.model_dump(mode="json", exclude={"compute"})
