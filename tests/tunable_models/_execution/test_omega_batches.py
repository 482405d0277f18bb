import pytest
import torch
from torch import nn

from tunable_models import ConversionError, OmegaError, make_tunable
from tunable_models._execution.omega_batches import Call, group_samples, run_by_groups


def test_equal_rows_are_one_group() -> None:
    omega = torch.tensor([[0.5, 0.1], [0.2, 0.1], [0.5, 0.1]])
    assert sorted(group.tolist() for group in group_samples(omega)) == [[0, 2], [1]]


def test_rows_that_need_their_own_gradient_stay_apart() -> None:
    omega = torch.tensor([[0.5], [0.5]], requires_grad=True)
    assert [group.tolist() for group in group_samples(omega)] == [[0], [1]]


@pytest.mark.parametrize("value", [torch.rand(3, 2), torch.rand(())])
def test_another_batch_is_refused(value: torch.Tensor) -> None:
    Call((torch.rand(2, 5), "no tensor"), {"shared": torch.rand(7)}).check(2)
    with pytest.raises(OmegaError, match="2 rows"):
        Call((value,), {}).check(2)


class Adder(nn.Module):
    def forward(self, x: torch.Tensor, *, shift: torch.Tensor, scale: torch.Tensor) -> dict[str, object]:
        return {"sum": (x + shift) * scale, "nothing": None}


@pytest.mark.parametrize("axis", [0, 1])
def test_keyword_tensors_as_long_as_the_batch_are_split(axis: int) -> None:
    x, shift = torch.rand(3, 5).movedim(0, axis), torch.rand(3, 5).movedim(0, axis)
    call = Call((x,), {"shift": shift, "scale": torch.tensor(2.0)}, axis)
    groups = [torch.tensor([2, 0]), torch.tensor([1])]
    output = run_by_groups(lambda sample: Adder(), call, groups)
    torch.testing.assert_close(output, {"sum": (x + shift) * 2, "nothing": None})


class Detector(nn.Module):
    """Pictures come as a list, and of each the rows that were found, here always one."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, pictures: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        return [{"found": self.linear(picture).mean(0, keepdim=True)} for picture in pictures]


@torch.no_grad()
def test_a_list_of_samples_is_refused_not_joined() -> None:
    net = make_tunable(Detector(), 2)
    pictures = [torch.rand(3, 4), torch.rand(5, 4)]
    assert len(net(pictures, omega=torch.ones(2))) == 2
    for held in (pictures, tuple(pictures), {"pictures": [pictures]}):
        with pytest.raises(ConversionError, match=f"got tensors in a {type(held).__name__}; use one omega"):
            net(held, omega=torch.eye(2))
    with pytest.raises(ConversionError, match="got tensors in a list"):
        net(pictures=pictures, omega=torch.eye(2))
