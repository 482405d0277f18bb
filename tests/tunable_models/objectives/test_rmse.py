import numpy as np
import pytest
from torch import Tensor

from tunable_models import RMSE, TunableError


def test_values(pair: tuple[Tensor, Tensor]) -> None:
    output, target = pair
    expected = np.sqrt(((output.numpy() - target.numpy()) ** 2).mean((1, 2, 3)) + 0.1**2)
    assert RMSE(0.1)(output, target).tolist() == pytest.approx(expected.tolist())


@pytest.mark.parametrize("epsilon", [0, -1, float("inf"), float("nan")])
def test_epsilon_is_positive(epsilon: float) -> None:
    with pytest.raises(TunableError, match="positive"):
        RMSE(epsilon)
