import numpy as np
import pytest
from torch import Tensor

from tunable_models import L1, Charbonnier, TunableError


def test_values(pair: tuple[Tensor, Tensor]) -> None:
    output, target = pair
    expected = np.sqrt((output.numpy() - target.numpy()) ** 2 + 0.2**2).mean((1, 2, 3))
    assert Charbonnier(0.2)(output, target).tolist() == pytest.approx(expected.tolist())
    assert Charbonnier(0.2)(target, target).tolist() == pytest.approx([0.2] * 3)


def test_is_l1_for_a_small_epsilon(pair: tuple[Tensor, Tensor]) -> None:
    assert Charbonnier(1e-6)(*pair).tolist() == pytest.approx(L1()(*pair).tolist())


@pytest.mark.parametrize("epsilon", [0, -1, float("inf"), float("nan")])
def test_epsilon_is_positive(epsilon: float) -> None:
    with pytest.raises(TunableError, match="positive"):
        Charbonnier(epsilon)
