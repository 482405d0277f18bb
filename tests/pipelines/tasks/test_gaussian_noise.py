import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F

from pipelines.core.random_streams import generator
from pipelines.tasks import DenoiseStrengthConfig, ThreeObjectivesConfig
from tiny_tasks import tiny_task

NAMES = ["denoise-strength", "three-objectives", "noise-level"]
TARGETS = {"noise-level": {"clean"}}
CLEAN = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NAMES)
def test_noise_is_of_the_keys_stream_and_of_the_level(name: str) -> None:
    clean = torch.rand(2, 3, 8, 8)
    example = tiny_task(name).degrade(clean, {"noise_sigma": 30.0}, (7, "test"))
    noise = torch.randn(clean.shape, generator=generator(7, "test"))
    torch.testing.assert_close(example.inputs, clean + noise * 30 / 255)
    assert set(example.targets) == TARGETS.get(name, {"input", "clean"})
    assert torch.equal(example.targets["clean"], clean)
    assert torch.equal(example.targets.get("input", example.inputs), example.inputs)


@pytest.mark.parametrize("name", ["denoise-strength", "three-objectives"])
def test_training_noise_is_drawn_from_the_range(name: str) -> None:
    task = tiny_task(name)
    clean = torch.full((6, 3, 64, 64), 0.5)
    keys = [(0, index) for index in range(6)]
    omega = torch.tensor(task.space.vertices[0]).expand(6, -1)
    sigma = (task.sample(clean, omega, keys).inputs - clean).std((1, 2, 3)) * 255
    low, high = task.noise_sigma  # type: ignore[attr-defined]
    assert 0.95 * low < sigma.min() <= sigma.max() < 1.05 * high
    assert task.levels == {"noise_sigma": (low + high) / 2}
    assert (sigma.max() - sigma.min() > 3) == (low < high)


@pytest.mark.parametrize("config", [DenoiseStrengthConfig, ThreeObjectivesConfig])
@pytest.mark.parametrize("values", [(30.0, 20.0), (-1.0, 5.0), (0.0, 256.0)])
def test_an_impossible_range_is_refused(
    config: type[DenoiseStrengthConfig | ThreeObjectivesConfig], values: tuple[float, float]
) -> None:
    with pytest.raises(ValidationError, match=r"noise_sigma must be \[low, high\] within 0..255"):
        config(noise_sigma=values)


def test_the_noise_of_a_sample_is_what_omega_says() -> None:
    task = tiny_task("noise-level")
    clean = torch.full((3, 3, 64, 64), 0.5)
    omega = torch.tensor([[0.0], [0.5], [1.0]])
    inputs = task.sample(clean, omega, [(0, i) for i in range(3)]).inputs
    sigma = (inputs - clean).std((1, 2, 3)) * 255
    assert sigma.tolist() == pytest.approx([0, 25, 50], rel=0.03)
    for row, expected in zip(omega, (0, 25, 50), strict=True):
        assert task.matched(row) == {"noise_sigma": expected}


def test_the_target_is_clean_at_every_omega() -> None:
    task = tiny_task("noise-level")
    clean = torch.rand(2, 3, 8, 8)
    example = task.sample(clean, torch.ones(2, 1), [(0,), (1,)])
    assert task.loss(clean, example, torch.rand(2, 1)).tolist() == [0, 0]


def test_twice_as_much_taken_away_is_six_decibels() -> None:
    task = tiny_task("noise-level")
    example = task.degrade(torch.rand(1, 3, 32, 32), {"noise_sigma": 25.0}, (0,))
    change = torch.randn(example.inputs.shape)
    outputs = [example.inputs - factor * change for factor in (0.01, 0.02)]
    less, more = (task.progress(output, example, torch.ones(1, 1), 0) for output in outputs)
    assert (more - less).item() == pytest.approx(6.02, abs=0.01)
    assert task.progress(example.inputs, example, torch.ones(1, 1), 0).item() == -100


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
