import torch
from tiny_tasks import tiny_task
from torch.nn import functional as F

CLEAN = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_each_objective_prefers_its_own_picture() -> None:
    """One with a little noise, one that is darker but has all structure, and a flat one."""
    task = tiny_task("three-objectives")
    example = task.degrade(CLEAN, task.levels, (0,))
    near = (CLEAN + 0.075 * torch.randn(CLEAN.shape)).clamp(0, 1)
    darker = 0.87 * CLEAN
    flat = F.interpolate(F.avg_pool2d(CLEAN, 8), scale_factor=8.0)
    omega = task.space.omega().expand(2, -1)
    for control, best in enumerate((near, darker, flat)):
        values = [task.progress(picture, example, omega, control) for picture in (near, darker, flat)]
        own = task.progress(best, example, omega, control)
        assert all((own >= other).all() for other in values), control


def test_smoothness_costs_what_varies() -> None:
    task = tiny_task("three-objectives")
    example = task.degrade(CLEAN, task.levels, (0,))
    vertices = [torch.tensor([row] * 2) for row in task.space.vertices]
    fidelity, structure, smoothness = (task.loss(CLEAN, example, omega) for omega in vertices)
    assert (fidelity < 0.01).all()
    assert (structure < 0.01).all()
    assert (smoothness > 0.1).all()
