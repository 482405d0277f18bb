import numpy as np
import pytest
import torch
from torch import Tensor

from tunable_models import TotalVariation, TunableError


def test_values(pair: tuple[Tensor, Tensor]) -> None:
    x = pair[0].numpy()
    across = np.abs(x[..., 1:] - x[..., :-1]).mean((1, 2, 3))
    down = np.abs(x[..., 1:, :] - x[..., :-1, :]).mean((1, 2, 3))
    assert TotalVariation()(pair[0]).tolist() == pytest.approx((across + down).tolist())


def test_a_flat_image_has_none() -> None:
    assert TotalVariation()(torch.full((2, 3, 4, 4), 0.7)).tolist() == [0, 0]


@pytest.mark.parametrize("shape", [(1, 3, 1, 8), (1, 3, 8, 1), (3, 8, 8)])
def test_an_image_without_neighbours_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(TunableError, match="2 px"):
        TotalVariation()(torch.zeros(shape))
