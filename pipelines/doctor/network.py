"""How large a run's network is, worked out without its memory."""

from dataclasses import dataclass
from pathlib import Path

import torch

from pipelines.tasks import make_task
from pipelines.training.config import TrainConfig

BYTES = 4
"""Of a number; weights, losses and the optimizer are in float32 whatever the precision."""

STATES = 4
"""Numbers kept for each trained one at most: itself, Adam's two moments, and an average."""


@dataclass(frozen=True)
class Size:
    """Counts of numbers.

    Attributes:
        parameters: all of them.
        trained: those that the optimizer changes.
    """

    parameters: int
    trained: int

    @property
    def weights_bytes(self) -> int:
        """Of the trained network's file."""
        return self.parameters * BYTES

    @property
    def checkpoint_bytes(self) -> int:
        """Of one checkpoint."""
        return (self.parameters + (STATES - 1) * self.trained) * BYTES


def network_size(config: TrainConfig, root: Path) -> Size:
    """The size of the network that a run trains.

    Args:
        config: of the run.
        root: where relative paths in its options start.

    Raises:
        DataError: a file that the task names is missing.
        ConversionError: the network cannot be made tunable in this way.
    """
    # Which checkpoint it starts from does not matter, and the file may be large.
    options = config.network.model_copy(update={"start": None})
    with torch.device("meta"):
        network = options.make(make_task(config.task, root).space, config.seed)
    parameters = [(parameter.numel(), parameter.requires_grad) for parameter in network.parameters()]
    return Size(sum(n for n, _ in parameters), sum(n for n, trained in parameters if trained))
