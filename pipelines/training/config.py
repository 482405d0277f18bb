"""Options of the ``train`` stage, section ``train`` of ``params.yaml``."""

from typing import Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from pipelines.core.config import Section
from pipelines.tasks import DenoiseDeblurConfig, TaskConfig, make_task
from pipelines.training.network import NetworkConfig
from pipelines.training.sampling import SamplingConfig
from tunable_models import TunableError
from tunable_models.bases import make_basis

Precision = Literal["float32", "bfloat16", "float16"]


class OptimizerConfig(Section):
    """Adam with a linear warm-up, a cosine decay to zero, and clipped gradients."""

    lr: float = Field(default=0.002, gt=0)
    """Peak learning rate. Adam moves each kernel of a tensor by about as much a step, and a setting adds them
    up: four at the far corner of two sliders on basis multilinear. Where the loss leaps, networks without
    norms lose channels behind a ReLU for good."""
    warmup_steps: int = Field(default=50, ge=0)
    """Steps from 0 to the peak."""
    critic_lr: float = Field(default=0.0002, gt=0)
    """Learning rate of the task's critic, where it has one; constant."""
    clip_norm: float = Field(default=1.0, gt=0)
    """Largest L2 norm of the whole gradient; longer ones are scaled down."""


class ComputeConfig(Section):
    """Where and how the run is computed.

    Not part of its identity: a run may go on with other workers, on other machines, in other portions; its
    numbers then differ by the order of sums alone.
    """

    runner: Literal["ray", "local"] = "ray"
    """Ray Train; or this process without Ray, or the processes that torchrun starts."""
    workers: PositiveInt | tuple[PositiveInt, PositiveInt] = 2
    """Ray Train workers; each takes its share of every batch. ``[least, most]`` is elastic: the run starts
    with what the cluster has, goes on with fewer when a node is lost and takes in nodes that come. Under
    torchrun the number of processes counts instead."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of each worker."""
    use_gpu: bool = False
    """One GPU for each worker."""
    loaders: int = Field(default=0, ge=0)
    """Processes of each worker that cut patches ahead of the network; 0 cuts them in between."""
    accumulate: int = Field(default=1, ge=1)
    """Portions in which a worker computes its share of a batch, for less memory; the step is the same."""
    compile: bool = False
    """Whether torch.compile turns the network into kernels of its own, once, in about a minute."""
    channels_last: bool = False
    """Whether images and kernels lie in memory pixel by pixel: faster convolutions in bfloat16."""
    address: str | None = None
    """A Ray cluster to join, as RAY_ADDRESS would say; none starts a private one for this stage."""
    max_failures: int = Field(default=2, ge=0)
    """How often Ray restarts the workers from the last checkpoint after one failed or was lost, counted over
    the whole launch and never anew. Not counted are a node of which the cluster says that it is taken back
    (a preemption), and workers that do not come to start."""
    resize_every_s: float = Field(default=60.0, gt=0)
    """With elastic workers, seconds between looks for nodes that came."""
    keep_checkpoints: int = Field(default=2, ge=1)
    """How many of the newest checkpoints stay on disk."""
    cache_gb: float = Field(default=20.0, gt=0)
    """Disk on each node for photographs that are streamed from a URL, in 10^9 bytes."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least_workers > self.most_workers:
            raise ValueError(f"workers {list(self._range)}: the least stands first")
        return self

    @property
    def _range(self) -> tuple[int, int]:
        return self.workers if isinstance(self.workers, tuple) else (self.workers, self.workers)

    @property
    def least_workers(self) -> int:
        """With fewer the run waits."""
        return self._range[0]

    @property
    def most_workers(self) -> int:
        """More are not used."""
        return self._range[1]


class ValidationConfig(Section):
    """Numbers on the photographs that ``prepare.validation_photos`` held out; without any there are none.

    Not part of a run's identity, because nothing that is trained depends on it.
    """

    every: int = Field(default=500, ge=1)
    """Steps between looks, which happen when the loss is logged; one more after the last step."""
    crop_px: int = Field(default=256, ge=16)
    """Side of the centre crop of each photograph."""


class TrackingConfig(Section):
    """How the run is shown by MLflow. Not part of its identity."""

    parent: str | None = None
    """Id of the MLflow run below which this one is shown."""


class TrainConfig(Section):
    """All of section ``train``."""

    task: TaskConfig = DenoiseDeblurConfig()
    network: NetworkConfig = NetworkConfig()
    sampling: SamplingConfig = SamplingConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    compute: ComputeConfig = ComputeConfig()
    validation: ValidationConfig = ValidationConfig()
    tracking: TrackingConfig = TrackingConfig()
    precision: Precision = "float32"
    """Of the network's forward and backward pass; weights, losses and the optimizer stay in float32. float16
    has its gradients scaled, bfloat16 needs no scale."""
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, such as 0.999, which is then what is validated,
    shown and published; null has none."""
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
    window: int | None = Field(default=None, ge=1)
    """How many shards of the photographs an epoch mixes at a time, for sets that are streamed from a URL:
    a worker then needs no more of them on its disk at once. Null mixes all."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        task = make_task(self.task)
        try:
            basis = make_basis(self.network.basis, task.space)
            self.sampling.sampler(task.space, self.batch_size // self.sampling.group or 1)
            contract = self.network.contract()
        except TunableError as error:
            raise ValueError(str(error)) from error
        if self.network.rank is not None and not basis.has_base:
            raise ValueError(
                f"network.rank {self.network.rank} is of deltas, which basis {self.network.basis} has not; "
                "leave rank out, or take basis delta or multilinear"
            )
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
        if self.batch_size % self.sampling.group:
            raise ValueError(
                f"batch_size {self.batch_size} must be a multiple of sampling.group ({self.sampling.group})"
            )
        compute = self.compute
        workers = compute.most_workers if compute.runner == "ray" else 1
        portions = workers * compute.accumulate
        if self.batch_size // self.sampling.group < portions:
            raise ValueError(
                f"batch_size {self.batch_size} has {self.batch_size // self.sampling.group} groups of "
                f"sampling.group ({self.sampling.group}), fewer than compute.workers times "
                f"compute.accumulate ({workers} x {compute.accumulate}); each needs one at least"
            )
        if self.checkpoint_every % self.log_every:
            # The loss is looked at when it is logged, so nothing unsound is ever checkpointed.
            raise ValueError(
                f"checkpoint_every {self.checkpoint_every} must be a multiple of log_every {self.log_every}"
            )
        return self

    def identity(self) -> dict[str, Any]:
        """What defines the numbers of the run: all but where it runs, and what is watched and saved."""
        apart = {"compute", "validation", "tracking", "log_every", "checkpoint_every"}
        return self.model_dump(mode="json", exclude=apart)
