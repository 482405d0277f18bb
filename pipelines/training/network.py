"""Options ``train.network``: which network a run trains, and how it is built."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from pipelines.core.config import Section
from pipelines.core.random_streams import stream_seed
from pipelines.training.warm_start import load_start, start_sha256
from tunable_models import (
    ControlSpace,
    ImageContract,
    NetworkSpec,
    TunableError,
    TunableNetwork,
    get_architecture,
    load_network,
)
from tunable_models.bases import BasisName
from tunable_models.rivals import MethodName, find_method


class NetworkConfig(Section):
    """Which network is made tunable, and how."""

    architecture: str = "edsr"
    """A name of the architecture registry."""
    preset: str | None = None
    """A published size of that architecture; ``config`` changes single options of it."""
    config: dict[str, int | float | str | bool | tuple[int, ...] | None] = Field(default_factory=dict)
    """Options of that architecture; what is not said is the preset's or the default."""
    start: str | None = None
    """Checkpoint to begin as, absolute or relative to the work tree: ``.safetensors``, or ``.pth`` and
    ``.pt`` that hold tensors alone. They are the plain network's, or a tunable network's, such as
    ``model.safetensors`` of an entry of the zoo or of an earlier run with the same architecture, basis and
    number of controls; every one must fit. Other projects' networks are made tunable in Python, see
    :func:`pipelines.features.spandrel_checkpoints.load_foreign`."""
    method: MethodName = "tunable"
    """How the network gets its sliders: tunable mixes its kernels; dni, adafm, cfsnet, dynamic-net, film,
    noise-map and cresmd are rivals to compare with, which take none of the options below. The first four have
    one slider and are trained at its two ends, half of the steps each, whatever ``train.sampling`` says."""
    basis: BasisName = "delta"
    """How omega blends kernels: delta, affine or multilinear; linear where the task's space is a simplex."""
    rank: int | None = Field(default=None, ge=1)
    """Rank of the deltas; null for full ones."""
    train: Literal["all", "deltas"] = "all"
    """``deltas`` keeps the base network as it is and trains what the sliders add; it needs ``start``."""
    include: tuple[str, ...] | None = None
    """Patterns of tensor names to make tunable; null for all that can be."""
    exclude: tuple[str, ...] = ()
    """Patterns of tensor names to leave plain."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        try:
            self.options()
        except TunableError as error:
            raise ValueError(str(error)) from error
        if self.train == "deltas" and self.start is None:
            raise ValueError(
                "train: deltas keeps the base network as it is, which is random without a checkpoint; name "
                "one in network.start, or say train: all"
            )
        return self

    def options(self) -> dict[str, Any]:
        """Every option of the architecture, preset and defaults filled in, in JSON's types."""
        return get_architecture(self.architecture).options(self.preset, **self.config)

    def contract(self) -> ImageContract:
        """How images go through the network."""
        contract = get_architecture(self.architecture).contract(self.preset, **self.config)
        rival = find_method(self.method)
        return contract if rival is None else rival.widen(contract)

    def spec(self, space: ControlSpace) -> NetworkSpec:
        """The network with the sliders of a task.

        Raises:
            ConversionError: the basis or method does not fit the sliders or the other options.
        """
        return NetworkSpec(
            space=space,
            method=self.method,
            basis=self.basis,
            rank=self.rank,
            train=self.train,
            include=self.include,
            exclude=self.exclude,
            architecture=self.architecture,
            config=self.options(),
        )

    def materials(self, root: Path) -> Mapping[str, str]:
        """What the network takes from outside its options: the SHA-256 of the checkpoint it starts from.

        Raises:
            DataError: there is no such checkpoint.
        """
        return {} if self.start is None else {"start": start_sha256(self.start, root)}

    def load(self, space: ControlSpace, state: Mapping[str, Tensor]) -> TunableNetwork:
        """The trained network, frozen and in evaluation mode, on the CPU.

        Raises:
            TunableError: the tensors are not its own.
        """
        return load_network(self.spec(space), state)

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the modules of its architecture, and of its method where that is a rival."""
        rival = find_method(self.method)
        own = get_architecture(self.architecture).network.__module__
        return (own,) if rival is None else (own, type(rival).__module__)

    def count_parameters(self, space: ControlSpace) -> int:
        """How many numbers the tunable network has, from its shapes alone."""
        with torch.device("meta"):
            network = TunableNetwork.from_spec(self.spec(space))
        return sum(parameter.numel() for parameter in network.parameters())

    def describe(self, space: ControlSpace) -> dict[str, Any]:
        """The network for records, from which it can be built again."""
        return self.spec(space).to_dict()

    def make(self, space: ControlSpace, seed: int, root: Path = Path()) -> TunableNetwork:
        """The network before training, the same for the same seed and checkpoint.

        Args:
            space: of the sliders.
            seed: of what is random, all of it or what the sliders add.
            root: where a relative ``start`` begins.

        Raises:
            DataError: the checkpoint is missing or does not fit.
            ConversionError: the network cannot be made tunable in this way, with the reason.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(seed, "initialisation"))
            spec = self.spec(space)
            return (
                TunableNetwork.from_spec(spec) if self.start is None else load_start(spec, self.start, root)
            )
