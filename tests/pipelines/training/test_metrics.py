import pytest
import torch

from pipelines.core.errors import TrainingError
from pipelines.training.learner import Step
from pipelines.training.metrics import MetricsAccumulator

CPU = torch.device("cpu")


def step(*values: float, norm: float = 1.0) -> Step:
    return Step({f"part{i}": torch.tensor(v) for i, v in enumerate(values)}, torch.tensor(norm))


def accumulator() -> MetricsAccumulator:
    return MetricsAccumulator(batch_size=4, photos=8, workers=1, device=CPU)


def test_a_point_is_the_mean_since_the_last_one() -> None:
    counted = accumulator()
    for values in ((1.0, 2.0), (3.0, 4.0)):
        counted.add(step(*values))
    point = counted.make_point(2, lr=0.1)
    assert point.shares == {"part0": 2.0, "part1": 3.0}
    assert (point.loss, point.epoch, point.lr, point.grad_norm) == (5.0, 1.0, 0.1, 1.0)
    counted.add(step(7.0, 0.0))
    assert counted.make_point(3, lr=0.1).loss == 7


def test_steps_between_points_survive_a_stop() -> None:
    first, second = accumulator(), accumulator()
    first.add(step(1.0))
    second.load(first.state(1), is_main=True)
    second.add(step(3.0))
    assert second.make_point(2, lr=0.1).loss == 2
    other = accumulator()
    other.load(first.state(1), is_main=False)
    other.add(step(3.0))
    assert other.make_point(2, lr=0.1).loss == 1.5


@pytest.mark.parametrize("bad", [step(float("nan")), step(1.0, norm=float("inf"))])
def test_what_is_not_finite_is_told(bad: Step) -> None:
    counted = accumulator()
    counted.add(bad)
    with pytest.raises(TrainingError, match=r"step 5.*train\.optimizer\.lr"):
        counted.make_point(5, lr=0.1)
    with pytest.raises(TrainingError, match="step 5"):
        counted.state(5)
