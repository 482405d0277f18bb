import torch
from torch import nn

from tunable_models._execution.rebind import rebind_mixed


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.again = self.first
        self.other = nn.Sequential(nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.other(self.again(self.first(x)))
        return y


def test_every_module_has_a_shell_and_is_left_as_it_is() -> None:
    module = Twice()
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    bound = rebind_mixed(module, {"first": {"weight": torch.eye(2)}}).network
    assert type(bound) is Twice
    assert bound.first is bound.again
    assert bound.first is not module.first
    assert bound.first.bias is module.first.bias
    assert type(bound.other) is nn.Sequential
    assert bound.other is not module.other
    assert torch.equal(bound.first.weight, torch.eye(2))
    assert all(torch.equal(tensor, state[name]) for name, tensor in module.state_dict().items())


def test_hooks_of_the_source_still_run() -> None:
    module = Twice()
    seen: list[nn.Module] = []
    module.first.register_forward_hook(lambda layer, *_: seen.append(layer))
    rebind_mixed(module, {"first": {"weight": torch.eye(2)}}).network(torch.rand(1, 2))
    assert len(seen) == 2
