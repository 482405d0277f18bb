import pytest
import torch

from tunable_models import OmegaError
from tunable_models.groups import check_batch, groups_of


def test_equal_rows_are_one_group() -> None:
    omega = torch.tensor([[0.5, 0.1], [0.2, 0.1], [0.5, 0.1]])
    assert sorted(group.tolist() for group in groups_of(omega)) == [[0, 2], [1]]


def test_rows_that_need_their_own_gradient_stay_apart() -> None:
    omega = torch.tensor([[0.5], [0.5]], requires_grad=True)
    assert [group.tolist() for group in groups_of(omega)] == [[0], [1]]


@pytest.mark.parametrize("value", [torch.rand(3, 2), torch.rand(())])
def test_another_batch_is_refused(value: torch.Tensor) -> None:
    check_batch((torch.rand(2, 5), "no tensor"), 2)
    with pytest.raises(OmegaError, match="2 rows"):
        check_batch((value,), 2)
