import pytest
import torch

from tunable_models.architectures.upsampler import make_upsampler


@pytest.mark.parametrize(("scale", "layers"), [(1, 0), (2, 2), (3, 2), (4, 4)])
def test_sides_are_multiplied(scale: int, layers: int) -> None:
    module = make_upsampler(2, scale)
    assert len(module) == layers
    assert module(torch.rand(1, 2, 3, 5)).shape == (1, 2, 3 * scale, 5 * scale)
