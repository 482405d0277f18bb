"""Options of the ``train`` stage, section ``train`` of ``params.yaml``."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from pipelines.config import Section
from pipelines.tasks import DenoiseDeblurConfig, make_task
from tunable_models import (
    BasisName,
    ControlSpace,
    Dirichlet,
    Sampler,
    TunableError,
    Uniform,
    get_architecture,
)
from tunable_models.bases import make_basis


class NetworkConfig(Section):
    """Which network is made tunable, and how."""

    architecture: str = "edsr"
    """A name of the architecture registry."""
    config: dict[str, int | float | str | bool] = Field(default={"width": 32, "blocks": 4})
    """Options of that architecture."""
    basis: BasisName = "delta"
    """How omega blends kernels: delta, affine or multilinear; linear where the task's space is a simplex."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        try:
            get_architecture(self.architecture).config(**self.config)
        except TunableError as error:
            raise ValueError(str(error)) from error
        return self


class SamplingConfig(Section):
    """Which omegas are trained on."""

    family: Literal["uniform", "dirichlet"] = "dirichlet"
    """Uniform over the space, or Dirichlet (on a box: Beta for each slider)."""
    alpha: float = Field(default=0.5, ge=0.01, le=100)
    """Concentration of the Dirichlet: below 1 favours the ends of the sliders."""
    group: int = Field(default=4, ge=1)
    """How many samples of a batch share one omega: 1 is an omega a sample."""

    def sampler(self, space: ControlSpace) -> Sampler:
        """The sampler on that space."""
        return Uniform(space) if self.family == "uniform" else Dirichlet(space, self.alpha)


class OptimizerConfig(Section):
    """Adam with a linear warm-up, a cosine decay to zero, and clipped gradients."""

    lr: float = Field(default=0.002, gt=0)
    """Peak learning rate."""
    warmup_steps: int = Field(default=50, ge=0)
    """Steps from 0 to the peak."""
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

    task: DenoiseDeblurConfig = DenoiseDeblurConfig()
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
        task, network = make_task(self.task), self.network
        try:
            make_basis(network.basis, task.space)
            scale = get_architecture(network.architecture).contract(**network.config).scale
        except TunableError as error:
            raise ValueError(str(error)) from error
        if scale != task.scale:
            raise ValueError(
                f"{task.name} keeps the size of a picture, network.config enlarges it {scale} times"
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
