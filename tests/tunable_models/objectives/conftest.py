import pytest
import torch
from torch import Tensor


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    """Two batches of small images."""
    output, target = torch.rand(2, 3, 3, 8, 10, generator=torch.Generator().manual_seed(0)).double()
    return output, target
