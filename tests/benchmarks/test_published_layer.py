"""The reference layer is a loop over samples of plain layers with mixed kernels."""

import pytest
import torch
from torch import Tensor, nn

from benchmarks.published_layer import PublishedNetwork
from networks import perturb
from tunable_models import build


def mixed(source: nn.Module, published: PublishedNetwork, omega: Tensor) -> nn.Module:
    """The plain network with the kernels at one omega (P,)."""
    kernels = {name.removeprefix("network."): value for name, value in published.named_parameters()}
    state = {
        name: torch.tensordot(omega, kernels[name], 1)
        if kernels[name].shape != value.shape
        else kernels[name]
        for name, value in source.named_parameters()
    }
    source.load_state_dict(state, strict=False)
    return source


SOURCES = {
    "convolutions": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 8, 3, groups=2, dilation=2, bias=False),
    ),
    "dense": lambda: nn.Sequential(nn.Linear(9, 6), nn.GELU(), nn.Linear(6, 2, bias=False)),
    "edsr": lambda: build("edsr", width=4, blocks=1),
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("controls", [2, 3])
def test_it_is_a_loop_over_samples(name: str, controls: int) -> None:
    torch.manual_seed(0)
    source = SOURCES[name]()
    published = PublishedNetwork(source, controls)
    perturb(published)
    x, omega = torch.rand(5, 3, 9, 9), torch.rand(5, controls)
    loop = [mixed(source, published, w)(image[None]) for image, w in zip(x, omega, strict=True)]
    torch.testing.assert_close(published(x, omega), torch.cat(loop))


def test_windows_of_a_sample_stand_together() -> None:
    published = PublishedNetwork(nn.Linear(4, 3), 2)
    perturb(published)
    omega = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    windows = torch.rand(2, 1, 5, 4).expand(2, 6, 5, 4)  # six equal windows of each of two samples
    output = published(windows.reshape(12, 5, 4), omega).reshape(2, 6, 5, 3)
    torch.testing.assert_close(output, output[:, :1].expand_as(output))


def test_it_starts_as_the_source_where_omega_sums_to_1() -> None:
    torch.manual_seed(0)
    source = SOURCES["convolutions"]()
    x = torch.rand(2, 3, 9, 9)
    omega = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    torch.testing.assert_close(PublishedNetwork(source, 2)(x, omega), source(x))
