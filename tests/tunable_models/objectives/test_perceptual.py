import pytest
import torch
from torch import Tensor, nn

from tunable_models import ConversionError, Perceptual


class Distance(nn.Module):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0))
        self.shape = shape

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        values = self.gain * (output - target).abs().amax((1, 2, 3))
        return values.view(self.shape) if self.shape else values.mean()


@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (-1, 1, 1, 1)])
def test_returns_what_the_network_does(pair: tuple[Tensor, Tensor], shape: tuple[int, ...]) -> None:
    network = Distance(shape)
    expected = 2 * (pair[0] - pair[1]).abs().amax((1, 2, 3))
    torch.testing.assert_close(Perceptual(network)(*pair), expected)
    assert not network.training
    assert not network.gain.requires_grad


def test_an_average_over_the_batch_is_an_error(pair: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(ConversionError, match="averaging over the batch"):
        Perceptual(Distance(()))(*pair)
