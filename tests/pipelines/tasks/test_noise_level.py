import pytest
import torch

from tiny_tasks import tiny_task


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
