"""The processes of torchrun: each has a part of every batch, and the options let it start them."""

from pipelines.core.errors import ConfigError
from pipelines.doctor.finding import About, Finding
from pipelines.training.batches import Share
from pipelines.training.config import TrainConfig

ABOUT = About("processes")


def processes(config: TrainConfig, started: int) -> list[Finding]:
    """Whether that many processes can train; no finding without torchrun, when the options alone say.

    Args:
        config: of the run.
        started: on all nodes together; 1 is no torchrun.
    """
    if started == 1:
        return []
    runner, group, accumulate = config.compute.runner, config.sampling.group, config.compute.accumulate
    if runner != "local":
        message = f"torchrun starts {started} processes, and train.compute.runner {runner!r} starts its own"
        return [ABOUT.fault(message, "set train.compute.runner to local")]
    try:
        Share(0, started).portions(config.batch_size, group, accumulate)
    except ConfigError as error:
        least = started * accumulate * group
        remedy = (
            f"set train.batch_size to {least} at least, lower train.sampling.group, or start fewer processes"
        )
        return [ABOUT.fault(str(error), remedy)]
    groups = config.batch_size // group
    return [ABOUT.ok(f"{started} for a batch of {groups} groups, each with {accumulate} or more")]
