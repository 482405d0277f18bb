"""Small networks with kernels that differ, and omegas to run them at."""

from typing import Any

import torch
from torch import Tensor, nn

from tunable_models import ControlSpace, TunableNetwork, fold, make_tunable
from tunable_models.bases import BasisName

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


def tunable(basis: BasisName, module: nn.Module | None = None, **options: Any) -> TunableNetwork:
    torch.manual_seed(0)
    space = SPACES.get(basis, ControlSpace.box("a", "b"))
    network = make_tunable(module or Mixed(), space, basis, **options)
    perturb(network)
    return network.eval()


def omegas(network: TunableNetwork, count: int) -> Tensor:
    draws = torch.rand(count, len(network.space), generator=torch.Generator().manual_seed(1))
    return draws / draws.sum(1, keepdim=True) if network.space.kind == "simplex" else draws


def mixed_by_hand(network: TunableNetwork, omega: Tensor) -> dict[str, Tensor]:
    """The tensors at omega (P,) from the definitions of the bases, with operators of their own."""
    state = dict(network.network.named_parameters(remove_duplicate=False))
    tensors: dict[str, Tensor] = {}
    done: dict[Tensor, Tensor] = {}  # torch refuses two tensors for a tied one
    for name in network.tunable_names:
        if state[name] in done:
            tensors[name] = done[state[name]]
            continue
        c = _coefficients(network, name, omega)
        if network.spec.basis in ("linear", "affine"):
            kernels = list(state[name])
        elif f"{name}_deltas" in state:
            kernels = [state[name], *state[f"{name}_deltas"]]
        else:
            products = state[f"{name}_deltas_out"] @ state[f"{name}_deltas_in"]
            kernels = [state[name], *products.reshape(-1, *state[name].shape)]
        tensors[name] = sum(weight * kernel for weight, kernel in zip(c, kernels, strict=True))
        done[state[name]] = tensors[name]
    return tensors


def _coefficients(network: TunableNetwork, name: str, omega: Tensor) -> Tensor:
    one = torch.ones(1, dtype=omega.dtype)
    if network.spec.basis == "linear":
        return omega
    if network.spec.basis == "affine":
        mixer = network.get_submodule("_mixers")["/" + name.rpartition(".")[0].replace(".", "/")]
        return mixer.weight.to(omega.dtype) @ omega + mixer.bias.to(omega.dtype)
    if network.spec.basis == "delta":
        return torch.cat([one, omega[1:] if network.space.kind == "simplex" else omega])
    return torch.cat([one, omega, omega.prod().reshape(1)])  # two controls


def reference(network: TunableNetwork, x: Tensor, omega: Tensor) -> Tensor:
    """The output at omega (P,), bound by torch's own functional_call on a copy that has only names."""
    plain = fold(network, omega.detach())
    own = dict(network.network.named_parameters(remove_duplicate=False))
    tensors = {name: own[name] for name, _ in plain.named_parameters(remove_duplicate=False)}
    tensors |= mixed_by_hand(network, omega)
    aliases = {own[name]: tensor for name, tensor in tensors.items() if tensor is not own[name]}
    tensors = {name: aliases.get(own[name], tensor) for name, tensor in tensors.items()}
    output: Tensor = torch.func.functional_call(plain, tensors, (x,), tie_weights=False)
    return output
