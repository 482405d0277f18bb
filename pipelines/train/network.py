"""Which network a run trains: options ``train.network``, and the network made from them."""

from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator

from pipelines.config import Section
from pipelines.streams import stream_seed
from tunable_models import (
    ControlSpace,
    ImageContract,
    TunableError,
    TunableNetwork,
    build,
    get_architecture,
    make_tunable,
)
from tunable_models.bases import BasisName


class NetworkConfig(Section):
    """Which network is made tunable, and how."""

    architecture: str = "edsr"
    """A name of the architecture registry."""
    preset: str | None = None
    """A published size of that architecture; ``config`` changes single options of it."""
    config: dict[str, int | float | str | bool | tuple[int, ...]] = Field(default_factory=dict)
    """Options of that architecture; what is not said is the preset's or the default."""
    basis: BasisName = "delta"
    """How omega blends kernels: delta, affine or multilinear; linear where the task's space is a simplex."""
    rank: int | None = Field(default=None, ge=1)
    """Rank of the deltas; null for full ones."""
    train: Literal["all", "deltas"] = "all"
    """``deltas`` keeps the base network as it is and trains what the sliders add."""
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
        return self

    def options(self) -> dict[str, Any]:
        """Every option of the architecture, preset and defaults filled in, in JSON's types."""
        return get_architecture(self.architecture).options(self.preset, **self.config)

    def contract(self) -> ImageContract:
        """How images go through the network."""
        return get_architecture(self.architecture).contract(self.preset, **self.config)

    def make(self, space: ControlSpace, seed: int) -> TunableNetwork:
        """The untrained network, the same for the same seed.

        Raises:
            ConversionError: the network cannot be made tunable in this way, with the reason.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(seed, "initialisation"))
            return make_tunable(
                build(self.architecture, self.preset, **self.config),
                space,
                self.basis,
                rank=self.rank,
                train=self.train,
                include=self.include,
                exclude=self.exclude,
            )
