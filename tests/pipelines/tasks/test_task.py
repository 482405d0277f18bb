import pytest
import torch

from pipelines.tasks.task import BlendedTask
from tiny_tasks import tiny_task

CLEAN = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)).mul(255).round() / 255


@pytest.fixture(params=["denoise-strength", "denoise-deblur", "real-world"])
def task(request: pytest.FixtureRequest) -> BlendedTask:
    made = tiny_task(request.param)
    assert isinstance(made, BlendedTask)
    return made


def test_every_vertex_asks_for_exactly_its_target(task: BlendedTask) -> None:
    example = task.degrade(CLEAN, task.levels, (0,))
    assert torch.equal(example.targets["input"], example.inputs)
    for vertex, name in zip(task.space.vertices, task.targets, strict=True):
        assert torch.equal(task.target(example, torch.tensor(vertex).expand(2, -1)), example.targets[name])
    assert task.targets[0] == "input"
    assert task.targets[-1] == "clean"
    names = list(example.targets)
    for one in names:
        assert not [other for other in names if other != one and torch.equal(*pair(example, one, other))]


def pair(example: object, one: str, other: str) -> tuple[torch.Tensor, torch.Tensor]:
    targets = example.targets  # type: ignore[attr-defined]
    return targets[one], targets[other]


def test_the_loss_is_least_at_the_blended_target(task: BlendedTask) -> None:
    example = task.degrade(CLEAN, task.levels, (0,))
    omega = torch.rand(2, len(task.space))
    aim = task.target(example, omega)
    assert task.loss(aim, example, omega).max() < task.loss(aim + 0.1, example, omega).min()


def test_progress_is_best_at_the_setting_with_the_control_up(task: BlendedTask) -> None:
    example = task.degrade(CLEAN, task.levels, (0,))
    omega = torch.full((2, len(task.space)), 0.5)
    for control in range(len(task.space)):
        upper = omega.clone()
        upper[:, control] = 1
        aim = task.target(example, upper)
        assert (task.progress(aim, example, omega, control) == 100).all()
        assert (task.progress(aim + 0.1 * torch.randn(aim.shape), example, omega, control) < 40).all()
