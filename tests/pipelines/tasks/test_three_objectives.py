import torch
from torch.nn import functional as F

from tiny_tasks import tiny_task

CLEAN = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_each_objective_prefers_its_own_picture() -> None:
    task = tiny_task("three-objectives")
    example = task.degrade(CLEAN, task.levels, (0,))
    flat = F.interpolate(F.avg_pool2d(CLEAN, 8), scale_factor=8.0)
    pictures = (CLEAN, example.inputs, flat)
    omega = task.space.omega().expand(2, -1)
    for control, best in enumerate(pictures):
        own = task.progress(best, example, omega, control)
        for other in pictures:
            assert (own >= task.progress(other, example, omega, control)).all(), control


def test_smoothness_costs_what_varies() -> None:
    task = tiny_task("three-objectives")
    example = task.degrade(CLEAN, task.levels, (0,))
    vertices = [torch.tensor([row] * 2) for row in task.space.vertices]
    fidelity, grain, smoothness = (task.loss(CLEAN, example, omega) for omega in vertices)
    assert (fidelity == 0).all()
    assert (grain > 0.005).all()
    assert (smoothness > 0.005).all()
