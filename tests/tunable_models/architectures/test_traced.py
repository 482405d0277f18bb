"""What torch.jit traces of a folded network is that network at any size, for what takes no other graphs."""

from typing import Any

import pytest
import torch

from networks import perturb
from plain_networks import SMALL
from tunable_models import build, fold, make_tunable

SIZES = ((1, 16, 24), (2, 33, 17), (1, 7, 9), (1, 1, 1))


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # of torch's own layers
@pytest.mark.parametrize(
    ("name", "config"), [(name, config) for name, configs in SMALL.items() for config in configs]
)
@pytest.mark.slow
def test_a_trace_is_the_network_at_any_size(name: str, config: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = make_tunable(build(name, **config), 2)
    perturb(network, 0.05)
    plain = fold(network.eval(), torch.tensor([0.3, 0.8])).requires_grad_(False)
    traced = torch.jit.trace(plain, torch.rand(1, 3, *SIZES[0][1:]), check_trace=False)
    for batch, height, width in SIZES:
        image = torch.rand(batch, 3, height, width)
        torch.testing.assert_close(traced(image), plain(image), rtol=1e-4, atol=1e-5)
