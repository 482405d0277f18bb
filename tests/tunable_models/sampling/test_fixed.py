import pytest
import torch
from torch import Tensor

from tunable_models import ControlSpace, Fixed, OmegaError

SPACE = ControlSpace.box("denoise", "deblur")


def test_every_row_is_the_setting() -> None:
    omega = SPACE.omega(denoise=1, deblur=0.25)
    assert torch.equal(Fixed(SPACE, omega)(3, 7, [0, 5]), torch.tensor([[1, 0.25]] * 2))


@pytest.mark.parametrize(
    ("omega", "words"),
    [
        (torch.tensor([0.5]), "shape"),
        (torch.tensor([[0.5, 0.5]]), "one omega of shape"),
        (torch.tensor([0.5, 1.5]), "within"),
    ],
)
def test_what_is_no_single_omega_is_refused(omega: Tensor, words: str) -> None:
    with pytest.raises(OmegaError, match=words):
        Fixed(SPACE, omega)
