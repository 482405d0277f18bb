"""What losses are divided by, so that those of different objectives compare: never a matter of a network.

Settings and networks must be judged by one measure, so the reference depends on the task, its photographs
and the grid alone. Of vertex k, with L_k its loss as a mean over the photographs and n the positions of a
slider on the grid,

    r_k = (1 + 2 / (n - 1)) max over pictures q of L_k(q),    q in {input, clean, aims of all vertices}:

what the worst picture that a sensible setting gives would lose there, and more. A hypervolume counts what
lies below its reference in every coordinate, so at 1.0 the ends of the sliders, which are the worst pictures
of the other objectives, would count nothing, however good they are. With few points and a reference just
beyond, the usual 1.1, the largest volume has a slider whose ends shrink to the middle: in a test of three
positions by a third. On a straight front the ends stay where they are from 1 + 1 / (n - 1) on (Ishibuchi et
al., "How to Specify a Reference Point in Hypervolume Calculation for Fair Performance Comparison",
Evolutionary Computation 26(3), 2018, https://doi.org/10.1162/evco_a_00226); twice as far beyond they do so
between four corners too, within 5 %.

Where controls name what the network faces, each end has an input of its own, x_k, and

    r_k = 1/K sum over ends j of L_j(x_j),

the same for all ends: at the end without degradation the input is perfect and its own loss 0.
"""

import torch

from pipelines.core.errors import ConfigError, DataError
from pipelines.measure.shown import enlarged
from pipelines.search.scoring.crops import Batch, Crops
from pipelines.search.scoring.measure_config import MeasureConfig
from pipelines.search.scoring.measures import is_conditional
from pipelines.search.scoring.reading import mean_loss, vertex_losses
from pipelines.tasks import Task


def reference(task: Task, crops: Crops, config: MeasureConfig) -> tuple[float, ...]:
    """r_1..r_K, above 0, in the order of ``task.space.vertices``.

    Args:
        task: whose loss it is.
        crops: the photographs.
        config: the grid; and a reference of its own, which is taken as it is.

    Raises:
        ConfigError: not one number for each vertex is given.
        DataError: a loss is 0 or not a number whatever the picture.
    """
    count, given = len(task.space.vertices), config.reference
    if given is not None:
        if len(given) != count:
            raise ConfigError(
                f"params.yaml: search.measure.reference: expected {count} numbers, one for each end of "
                f"{', '.join(task.space.names)}, got {list(given)}"
            )
        return given
    found = _of_ends(task, crops) if is_conditional(task) else _of_pictures(task, crops.usual(), config.grid)
    for vertex, value in zip(task.space.vertices, found, strict=True):
        if not 0 < value < float("inf"):
            raise DataError(
                f"expected photographs whose degradation {task.name} can measure, got a loss of {value} at "
                f"{list(vertex)} for every picture; use other photographs or set search.measure.reference"
            )
    return found


def _of_pictures(task: Task, batches: list[Batch], positions: int) -> tuple[float, ...]:
    inputs = [enlarged(batch.raw.inputs, batch.raw.targets["clean"]) for batch in batches]
    candidates = [inputs, [batch.raw.targets["clean"] for batch in batches]]
    for vertex in task.space.vertices:
        aims = [_aim(task, batch, vertex) for batch in batches]
        candidates.append([aim for aim in aims if aim is not None])
    losses = [vertex_losses(task, pictures, batches) for pictures in candidates if pictures]
    return tuple((1 + 2 / (positions - 1)) * max(column) for column in zip(*losses, strict=True))


def _of_ends(task: Task, crops: Crops) -> tuple[float, ...]:
    losses = []
    for vertex in task.space.vertices:
        batches = crops.faced(torch.tensor(vertex))
        inputs = [enlarged(batch.raw.inputs, batch.raw.targets["clean"]) for batch in batches]
        losses.append(mean_loss(task, inputs, batches, vertex))
    return (sum(losses) / len(losses),) * len(losses)


def _aim(task: Task, batch: Batch, vertex: tuple[float, ...]) -> torch.Tensor | None:
    clean = batch.raw.targets["clean"]
    return task.aim(batch.raw, torch.tensor(vertex, device=clean.device).expand(len(clean), -1))
