import pytest
import torch
from pydantic import ValidationError

from pipelines.core.random_streams import generator
from pipelines.tasks import DenoiseStrengthConfig, ThreeObjectivesConfig
from tiny_tasks import tiny_task

NAMES = ["denoise-strength", "three-objectives", "noise-level"]
TARGETS = {"noise-level": {"clean"}}


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
