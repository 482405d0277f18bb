"""Options of the ``train`` stage, section ``train`` of ``params.yaml``."""

from typing import Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from pipelines.core.config import Section
from pipelines.data.config import Url
from pipelines.tasks import DenoiseDeblurConfig, TaskConfig, make_task
from pipelines.training.network import NetworkConfig
from tunable_models import (
    Beta,
    ControlSpace,
    Corners,
    Dirichlet,
    Fixed,
    Sampler,
    Schedule,
    Sobol,
    TruncatedNormal,
    TunableError,
    Uniform,
)
from tunable_models.bases import make_basis
from tunable_models.rivals import find_method

Precision = Literal["float32", "bfloat16", "float16"]


Family = Literal["uniform", "dirichlet", "beta", "truncated-normal", "corners", "sobol", "schedule", "fixed"]

OPTIONS: dict[Family, tuple[str, ...]] = {
    "uniform": (),
    "dirichlet": ("alpha",),
    "beta": ("a", "b"),
    "truncated-normal": ("mean", "std"),
    "corners": ("corner_weight", "inner", "alpha"),
    "sobol": (),
    "schedule": ("points",),
    "fixed": ("at",),
}
"""The options of each family; setting one that belongs to another family is an error."""


class SamplingConfig(Section):
    """Which omegas are trained on; options of other families must keep their defaults."""

    family: Family = "dirichlet"
    """Where omegas come from: uniform, dirichlet, beta, truncated-normal, corners (vertices mixed with
    another family), sobol (even without gaps), schedule (a grid, point after point) or fixed (one setting
    alone: a specialist to measure a tunable network against)."""
    alpha: float = Field(default=0.5, ge=0.01, le=100)
    """Of dirichlet, the concentration: below 1 favours the vertices, on a box the ends of each slider."""
    a: float = Field(default=0.5, ge=0.01, le=100)
    """Of beta: the smaller, the more omegas near 0."""
    b: float = Field(default=1.0, ge=0.01, le=100)
    """Of beta: the smaller, the more omegas near 1."""
    mean: float | tuple[float, ...] | None = None
    """Of truncated-normal, the most likely omega: a number for each control, on a box also one for all;
    null is the centre."""
    std: float = Field(default=0.25, ge=0.001, le=100)
    """Of truncated-normal, before the truncation."""
    corner_weight: float = Field(default=0.5, ge=0, le=1)
    """Of corners, the share of omegas that are vertices."""
    inner: Literal["uniform", "dirichlet"] = "uniform"
    """Of corners, the family of all other omegas."""
    points: int = Field(default=11, ge=2)
    """Of schedule, the values of each slider."""
    at: dict[str, float] = Field(default_factory=dict)
    """Of fixed, the setting: native values by the control's name; unset controls take their defaults."""
    group: int = Field(default=4, ge=1)
    """How many samples of a batch share one omega: 1 is an omega a sample, batch_size an omega a batch."""

    @model_validator(mode="after")
    def _check_family_options(self) -> Self:
        fields = type(self).model_fields
        for name in {option for options in OPTIONS.values() for option in options}:
            changed = getattr(self, name) != fields[name].get_default(call_default_factory=True)
            if changed and name not in self._options_read():
                owners = [family for family, options in OPTIONS.items() if name in options]
                raise ValueError(
                    f"family {self.family} has no option {name}: leave it out, or take {' or '.join(owners)}"
                )
        return self

    def _options_read(self) -> tuple[str, ...]:
        skipped = ("alpha",) if self.family == "corners" and self.inner == "uniform" else ()
        return tuple(name for name in OPTIONS[self.family] if name not in skipped)

    def sampler(self, space: ControlSpace, per_step: int) -> Sampler:
        """The sampler on a control space.

        Args:
            space: of the task.
            per_step: how many omegas a step draws, over all workers: batch_size / group.

        Raises:
            OmegaError: the options do not fit the space.
        """
        match self.family:
            case "uniform":
                return Uniform(space)
            case "dirichlet":
                return Dirichlet(space, self.alpha)
            case "beta":
                return Beta(space, self.a, self.b)
            case "truncated-normal":
                return TruncatedNormal(space, self.mean, self.std)
            case "corners":
                return Corners(space, self.corner_weight, self._inner_sampler(space))
            case "sobol":
                return Sobol(space, per_step)
            case "schedule":
                return Schedule(space, self.points, per_step)
            case "fixed":
                return Fixed(space, space.omega(self.at))

    def _inner_sampler(self, space: ControlSpace) -> Sampler:
        return Uniform(space) if self.inner == "uniform" else Dirichlet(space, self.alpha)


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

    Not part of its identity: a run may resume with other workers, on other machines, in other micro-batches;
    its numbers then differ by the order of sums alone.
    """

    runner: Literal["ray", "local"] = "ray"
    """Ray Train; or this process without Ray, or the processes that torchrun starts."""
    workers: PositiveInt | tuple[PositiveInt, PositiveInt] = 2
    """Ray Train workers; each takes its share of every batch. ``[least, most]`` is elastic: the run starts
    with what the cluster has, continues with fewer when a node is lost and uses nodes that are added. Under
    torchrun the number of processes counts instead."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of each worker."""
    use_gpu: bool = False
    """One GPU for each worker."""
    loaders: int = Field(default=0, ge=0)
    """Processes of each worker that cut patches ahead of the network; 0 cuts them in between."""
    accumulate: int = Field(default=1, ge=1)
    """Micro-batches of a worker's share of a batch, computed one by one, for less memory."""
    compile: bool = False
    """Whether to compile the network with torch.compile, once, in about a minute."""
    channels_last: bool = False
    """Whether to use the channels-last memory format: faster convolutions in bfloat16."""
    address: str | None = None
    """Address of a Ray cluster to join, like RAY_ADDRESS; null starts a private one for this stage."""
    max_failures: int = Field(default=2, ge=0)
    """How often Ray restarts the workers from the last checkpoint after one failed or was lost, in all of a
    launch. Announced preemptions of a node and workers that do not start are not counted."""
    resize_every_s: float = Field(default=60.0, gt=0)
    """With elastic workers, seconds between checks for new nodes."""
    keep_checkpoints: int = Field(default=2, ge=1)
    """How many of the newest checkpoints stay on disk."""
    storage: Url | None = None
    """URL below which copies of the run's checkpoints and log are kept, such as ``s3://bucket/runs``: any
    machine that has the same photographs and code resumes from there. The copy on the disk stays, a storage
    that does not answer is waited for until the end of the run, and null keeps none. Trials of a search have
    none."""
    cache_gb: float = Field(default=20.0, gt=0)
    """Disk on each node for photographs that are streamed from a URL, in 10^9 bytes."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.least_workers > self.most_workers:
            raise ValueError(f"workers {list(self._range)}: expected [least, most]")
        return self

    @property
    def _range(self) -> tuple[int, int]:
        return self.workers if isinstance(self.workers, tuple) else (self.workers, self.workers)

    @property
    def least_workers(self) -> int:
        """The run waits until it has as many."""
        return self._range[0]

    @property
    def most_workers(self) -> int:
        """The run uses at most as many."""
        return self._range[1]


class ValidationConfig(Section):
    """Metrics on the photographs that ``prepare.validation_photos`` held out, if any.

    Not part of a run's identity, because nothing that is trained depends on it.
    """

    every: int = Field(default=500, ge=1)
    """Steps between validations, which happen when the loss is logged; one more after the last step."""
    crop_px: int = Field(default=256, ge=16)
    """Side of the centre crop of each photograph."""


class TrackingConfig(Section):
    """How the run is shown by MLflow and TensorBoard. Not part of its identity."""

    parent: str | None = None
    """Id of the MLflow run below which this one is shown."""
    tensorboard: bool = False
    """Whether to write event files too, ``tensorboard`` in the run folder; see them with
    ``tensorboard --logdir .state``."""


class TrainConfig(Section):
    """Options of section ``train``."""

    machine = ("compute", "tracking", "log_every", "checkpoint_every")

    task: TaskConfig = DenoiseDeblurConfig()
    network: NetworkConfig = NetworkConfig()
    sampling: SamplingConfig = SamplingConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    compute: ComputeConfig = ComputeConfig()
    validation: ValidationConfig = ValidationConfig()
    tracking: TrackingConfig = TrackingConfig()
    precision: Precision = "float32"
    """Of the network's forward and backward pass; weights, losses and the optimizer stay in float32. float16
    gradients are scaled."""
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, such as 0.999, which is then validated and
    published; null for none."""
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
    def _check_network(self) -> Self:
        task = make_task(self.task)
        try:
            basis = make_basis(self.network.basis, task.space)
            if (rival := find_method(self.network.method)) is not None:
                rival.check_space(task.space)
            self.sampling.sampler(task.space, self.batch_size // self.sampling.group or 1)
            contract = self.network.contract()
        except TunableError as error:
            raise ValueError(str(error)) from error
        if self.network.rank is not None and not basis.has_base:
            raise ValueError(
                f"network.rank {self.network.rank}: basis {self.network.basis} has no deltas; leave out rank "
                "or use basis delta or multilinear"
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
    def _check_batches(self) -> Self:
        if self.batch_size % self.sampling.group:
            raise ValueError(
                f"batch_size {self.batch_size} must be a multiple of sampling.group ({self.sampling.group})"
            )
        compute = self.compute
        workers = compute.most_workers if compute.runner == "ray" else 1
        micro_batches = workers * compute.accumulate
        if self.batch_size // self.sampling.group < micro_batches:
            raise ValueError(
                f"batch_size {self.batch_size} has {self.batch_size // self.sampling.group} groups of "
                f"sampling.group ({self.sampling.group}), fewer than compute.workers times "
                f"compute.accumulate ({workers} x {compute.accumulate}); each needs one at least"
            )
        if self.checkpoint_every % self.log_every:
            # The loss is checked when it is logged, so that a checkpoint never holds non-finite weights.
            raise ValueError(
                f"checkpoint_every {self.checkpoint_every} must be a multiple of log_every {self.log_every}"
            )
        return self

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the modules of its task and of its network."""
        return type(make_task(self.task)).__module__, *self.network.modules

    def identity(self) -> dict[str, Any]:
        """The options that determine the numbers: all but where it runs, what is logged and what is saved."""
        excluded = {"compute", "validation", "tracking", "log_every", "checkpoint_every"}
        options = self.model_dump(mode="json", exclude=excluded)
        if self.network.method == "tunable":  # runs of before there were others stay the same runs
            del options["network"]["method"]
        return options
