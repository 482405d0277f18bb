import numpy as np
import pytest
from torch import Tensor

from tunable_models import L1


def test_values(pair: tuple[Tensor, Tensor]) -> None:
    output, target = pair
    d = output.numpy() - target.numpy()
    assert L1()(output, target).tolist() == pytest.approx((np.abs(d)).mean((1, 2, 3)).tolist())
    assert L1()(target, target).tolist() == [0, 0, 0]


def test_whether_it_blends_targets() -> None:
    """At weights 0.6 and 0.4 the best constant is between the targets, or it is the first target."""
    candidates = np.linspace(0, 1, 101)
    d = candidates
    at_zero = np.abs(d)
    d = candidates - 1
    at_one = np.abs(d)
    best = candidates[(0.6 * at_zero + 0.4 * at_one).argmin()]
    assert (best == pytest.approx(0.4)) == L1.blends_targets
