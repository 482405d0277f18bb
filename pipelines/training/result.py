"""The network that a run left in a checkpoint."""

from pathlib import Path

from pipelines.tasks import make_task
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.config import TrainConfig
from pipelines.training.learner import result_of
from tunable_models import TunableNetwork, load_network


def trained_network(
    config: TrainConfig, store: CheckpointStore, root: Path, step: int | None = None
) -> TunableNetwork:
    """The network after a step, or its moving average: on the CPU, frozen, in evaluation mode.

    Args:
        config: of the run.
        store: of its checkpoints.
        root: where relative paths in the options start.
        step: of a checkpoint; by default the last one of the run.

    Raises:
        CheckpointError: there is no whole checkpoint of that step.
    """
    space = make_task(config.task, root).space
    state = result_of(store.load(config.steps if step is None else step))
    return load_network(config.network.spec(space), state)
