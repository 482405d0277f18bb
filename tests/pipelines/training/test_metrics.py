import pytest
import torch

from pipelines.core.errors import TrainingError
from pipelines.training.learner import Step
from pipelines.training.metrics import Meter

CPU = torch.device("cpu")


def step(*values: float, norm: float = 1.0) -> Step:
    return Step({f"part{i}": torch.tensor(v) for i, v in enumerate(values)}, torch.tensor(norm))


def meter() -> Meter:
    return Meter(batch_size=4, photos=8, workers=1, device=CPU)


def test_a_point_is_the_mean_since_the_last_one() -> None:
    counted = meter()
    for values in ((1.0, 2.0), (3.0, 4.0)):
        counted.add(step(*values))
    point = counted.progress(2, lr=0.1)
    assert point.shares == {"part0": 2.0, "part1": 3.0}
    assert (point.loss, point.epoch, point.lr, point.grad_norm) == (5.0, 1.0, 0.1, 1.0)
    counted.add(step(7.0, 0.0))
    assert counted.progress(3, lr=0.1).loss == 7


def test_steps_between_points_survive_a_stop() -> None:
    first, second = meter(), meter()
    first.add(step(1.0))
    second.resume(first.unlogged(1), leads=True)
    second.add(step(3.0))
    assert second.progress(2, lr=0.1).loss == 2
    other = meter()
    other.resume(first.unlogged(1), leads=False)
    other.add(step(3.0))
    assert other.progress(2, lr=0.1).loss == 1.5


@pytest.mark.parametrize("bad", [step(float("nan")), step(1.0, norm=float("inf"))])
def test_what_is_not_finite_is_told(bad: Step) -> None:
    counted = meter()
    counted.add(bad)
    with pytest.raises(TrainingError, match=r"at step 5; lower train\.optimizer\.lr"):
        counted.progress(5, lr=0.1)
    with pytest.raises(TrainingError, match="at step 5"):
        counted.unlogged(5)
