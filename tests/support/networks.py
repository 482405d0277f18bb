"""Small networks with kernels that differ, and omegas to run them at."""

import torch
from torch import Tensor, nn

from tunable_models import BasisName, ControlSpace, TunableNetwork, make_tunable

SPACES = {"linear": ControlSpace.simplex("a", "b"), "affine": ControlSpace.box("a", "b")}


class Mixed(nn.Module):
    """Every layer kind that is converted, and some that are not."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")
        self.down = nn.Conv2d(4, 8, 2, stride=2, groups=2, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 3, 2, stride=2)
        self.mix = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.up(self.norm(self.down(self.head(x).relu())))
        return x + self.mix(y.movedim(1, -1)).movedim(-1, 1)


def perturb(module: nn.Module, scale: float = 0.1) -> None:
    """Make kernels differ, as training would."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))


def tunable(basis: BasisName, module: nn.Module | None = None) -> TunableNetwork:
    torch.manual_seed(0)
    space = SPACES.get(basis, ControlSpace.box("a", "b"))
    network = make_tunable(module or Mixed(), space, basis)
    perturb(network)
    return network.eval()


def omegas(network: TunableNetwork, count: int) -> Tensor:
    draws = torch.rand(count, len(network.space), generator=torch.Generator().manual_seed(1))
    return draws / draws.sum(1, keepdim=True) if network.space.kind == "simplex" else draws
