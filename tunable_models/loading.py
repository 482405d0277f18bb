"""Loading tensors into networks: all of them or none, with what does not fit named."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from tunable_models._conversion.checks import check_module
from tunable_models.errors import ConversionError
from tunable_models.network import TunableNetwork
from tunable_models.spec import NetworkSpec

State = Mapping[str, Tensor]

WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model", "generator", "netG")
"""Keys under which training codes keep a network's state; the first one there counts."""

PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "netG.", "generator.")
"""Prefixes of every name, where a network was saved wrapped, compiled or as part of a trainer."""


def load_network(spec: NetworkSpec, state: State) -> TunableNetwork:
    """A trained network from its spec and tensors, on the CPU, frozen, in evaluation mode.

    The global random state is left as it was.

    Raises:
        TunableError: the network cannot be built, or the tensors are not its own.

    Example:
        >>> net = make_tunable(build("edsr", width=8, blocks=1), ControlSpace.box("denoise"))
        >>> copy = load_network(net.spec, net.state_dict())
        >>> x, omega = torch.rand(1, 3, 8, 8), torch.tensor([0.3])
        >>> torch.equal(copy(x, omega=omega), net(x, omega=omega))
        True
    """
    with torch.random.fork_rng(devices=[]):
        network = TunableNetwork.from_spec(spec)
    check_state(network, state, "the trained network")
    network.load_state_dict(state)
    return network.requires_grad_(False).eval()


def load_checkpoint(module: nn.Module, checkpoint: Mapping[str, object]) -> nn.Module:
    """Put the tensors of a training code's checkpoint into a plain network, all of them or none.

    The state may be under one of :data:`WRAPPERS`, and all its names may begin with one or more of
    :data:`PREFIXES`, which are removed as far as that makes them the network's.

    Args:
        module: the plain network; it is changed.
        checkpoint: what was saved, as read with ``torch.load(..., weights_only=True)`` or safetensors.

    Returns:
        The same module, ready for ``make_tunable(module, ..., train="deltas")``.

    Raises:
        ConversionError: tensors are missing, left over, of another shape or no tensors at all.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> saved = {"params": {"module.weight": torch.ones(1, 2), "module.bias": torch.zeros(1)}}
        >>> load_checkpoint(layer, saved)(torch.ones(2)).item()
        2.0
    """
    check_module(module)
    if not isinstance(checkpoint, Mapping):
        raise ConversionError(
            f"expected a checkpoint as torch.load or safetensors read it, got {type(checkpoint).__name__}"
        )
    module.load_state_dict(check_state(module, _unwrap_state(module, checkpoint), "the checkpoint"))
    return module


def check_state(module: nn.Module, state: State, label: str, *, types: bool = False) -> State:
    """The state, if it has exactly the names and shapes of the module's, and with ``types`` its types.

    Raises:
        ConversionError: ``label`` and the names that do not fit.
    """
    expected = module.state_dict()
    shared = expected.keys() & state.keys()
    tensors = {name for name in shared if isinstance(state[name], Tensor)}
    problems = {
        "missing": sorted(expected.keys() - state.keys()),
        "not the network's": sorted(state.keys() - expected.keys()),
        "no tensors": sorted(shared - tensors),
        "of another shape or type" if types else "of another shape": [
            f"{name} ({_describe_tensor(state[name])}, expected {_describe_tensor(expected[name])})"
            for name in sorted(tensors)
            if expected[name].shape != state[name].shape
            or (types and expected[name].dtype != state[name].dtype)
        ],
    }
    found = [f"{kind}: {list_names(names)}" for kind, names in problems.items() if names]
    if found:
        raise ConversionError(
            f"expected the tensors of {type(module).__name__} in {label}, got {'; '.join(found)}"
        )
    return state


def list_names(names: list[str], limit: int = 5) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _describe_tensor(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _unwrap_state(module: nn.Module, checkpoint: Mapping[str, object]) -> State:
    inner = next(
        (checkpoint[key] for key in WRAPPERS if isinstance(checkpoint.get(key), Mapping)), checkpoint
    )
    assert isinstance(inner, Mapping)
    state = {str(name): value for name, value in inner.items()}
    # A network may also have a child of that name: the variant that matches most of its names wins.
    own = module.state_dict().keys()
    return max(_strip_prefixes(state), key=lambda names: len(own & names.keys()))


def _strip_prefixes(state: State) -> Iterator[State]:
    """The state as it is, then without each prefix that all its names share."""
    while True:
        yield state
        prefix = next((p for p in PREFIXES if state and all(name.startswith(p) for name in state)), None)
        if prefix is None:
            return
        state = {name.removeprefix(prefix): value for name, value in state.items()}
