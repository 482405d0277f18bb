"""What losses are divided by, so that those of different objectives compare; independent of any network.

Settings and networks must share one scale, so the reference depends on the task, its photographs
and the grid alone. Of vertex k, with L_k its loss as a mean over the photographs and n the positions of a
slider on the grid,

    r_k = (1 + 2 / (n - 1)) max over pictures q of L_k(q),    q in {input, clean, targets of all vertices}:

what the worst picture that a sensible setting gives would lose there, and more. A hypervolume counts what
lies below its reference in every coordinate, so at 1.0 the ends of the sliders, which are the worst pictures
of the other objectives, would count nothing, however good they are. With few points and a reference just
beyond, the usual 1.1, the largest volume has a slider whose ends shrink to the middle: in a test of three
positions by a third. On a straight front the ends stay where they are from 1 + 1 / (n - 1) on (Ishibuchi et
al., "How to Specify a Reference Point in Hypervolume Calculation for Fair Performance Comparison",
Evolutionary Computation 26(3), 2018, https://doi.org/10.1162/evco_a_00226); twice as far beyond they do so
between four corners too, within 5 %.

With condition controls each end has an input of its own, x_k, and

    r_k = 1/K sum over ends j of L_j(x_j),

the same for all ends: at the end without degradation the input is perfect and its own loss 0.
"""

import torch

from pipelines.core.errors import ConfigError, DataError
from pipelines.measure.objectives import MeasureConfig, is_conditional
from pipelines.measure.photographs import Batch, Batches, upscale_inputs
from pipelines.measure.runner import mean_loss, own_target, vertex_losses
from pipelines.tasks import Task


@torch.inference_mode()
def reference_losses(task: Task, photographs: Batches, config: MeasureConfig) -> tuple[float, ...]:
    """r_1..r_K, above 0, in the order of ``task.space.vertices``.

    Raises:
        ConfigError: the given reference has not one number for each vertex.
        DataError: a loss is 0 or not finite whatever the picture.
    """
    count, given = len(task.space.vertices), config.reference
    if given is not None:
        if len(given) != count:
            raise ConfigError(
                f"params.yaml: search.measure.reference: expected {count} numbers, one for each end of "
                f"{', '.join(task.space.names)}, got {list(given)}"
            )
        return given
    if is_conditional(task):
        found = _mean_end_loss(task, photographs)
    else:
        found = _worst_picture_losses(task, photographs.at_usual_levels(), config.grid)
    for vertex, value in zip(task.space.vertices, found, strict=True):
        if not 0 < value < float("inf"):
            raise DataError(
                f"expected photographs whose degradation {task.name} can measure, got a loss of {value} at "
                f"{list(vertex)} for every picture; use other photographs or set search.measure.reference"
            )
    return found


def _worst_picture_losses(task: Task, batches: list[Batch], positions: int) -> tuple[float, ...]:
    candidates = [_upscaled_inputs(batches), [batch.raw.targets["clean"] for batch in batches]]
    for vertex in task.space.vertices:
        targets = [own_target(task, batch.raw, torch.tensor(vertex)) for batch in batches]
        candidates.append([target for target in targets if target is not None])
    losses = [vertex_losses(task, pictures, batches) for pictures in candidates if pictures]
    return tuple((1 + 2 / (positions - 1)) * max(column) for column in zip(*losses, strict=True))


def _mean_end_loss(task: Task, photographs: Batches) -> tuple[float, ...]:
    losses = []
    for vertex in task.space.vertices:
        batches = photographs.at_setting(torch.tensor(vertex))
        losses.append(mean_loss(task, _upscaled_inputs(batches), batches, vertex))
    return (sum(losses) / len(losses),) * len(losses)


def _upscaled_inputs(batches: list[Batch]) -> list[torch.Tensor]:
    return [upscale_inputs(batch.raw.inputs, batch.raw.targets["clean"]) for batch in batches]
