"""Folding: the plain network at one setting, to export, compile or serve.

A tunable network folds into its source's class, graph and ``state_dict`` keys, because every tunable
tensor is a weighted sum of its kernels: nothing of the slider remains, and nothing is approximated.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tunable_models._conversion.checks import check_module
from tunable_models._execution import kernels
from tunable_models.errors import ConversionError
from tunable_models.layers import TunableLayer, TunableParameter, Value
from tunable_models.network import TunableNetwork


def fold(net: nn.Module, omega: Tensor | Mapping[str, float] | None = None, /, **values: float) -> nn.Module:
    """The plain network at one setting: class, graph and state_dict keys of the source.

    In a hand-built network every explicit tunable layer is replaced by its plain layer, which ignores
    the omega that the network's own forward still hands it.

    Args:
        net: a tunable network or layer, or a hand-built network that contains tunable layers.
        omega: (P,), or native values by name.
        **values: native values by name; unset controls take their defaults.

    Returns:
        A new module that shares nothing with ``net``.

    Raises:
        ConversionError: nothing in ``net`` is tunable.
        OmegaError: the setting is not of its space.

    Example:
        >>> net = make_tunable(nn.Conv2d(3, 8, 3), ControlSpace.box("denoise"))
        >>> fold(net, denoise=0.5)
        Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
    """
    if isinstance(net, TunableNetwork):
        return _fold_network(net, net.omega(omega, **values))
    check_module(net)
    if not any(isinstance(module, TunableNetwork) for module in net.modules()):
        raise ConversionError(f"expected a tunable network or layers, found none in {type(net).__name__}")
    return _fold_layers(copy.deepcopy(net), omega, values, {})


def _fold_network(net: TunableNetwork, omega: Tensor) -> nn.Module:
    with torch.no_grad():
        mixed = net.mixed(omega)
    plain = copy.deepcopy(net.network)
    done: dict[Tensor, nn.Parameter] = {}  # a tied tensor is one tensor again
    for path, tensors in mixed.items():
        layer = plain.get_submodule(path)
        for name, tensor in tensors.items():
            trains = any(p.requires_grad for p in kernels.list_parameters(layer, name))
            done.setdefault(tensor, nn.Parameter(tensor.clone(), trains))
            kernels.remove_kernels(layer, name, done[tensor])
    return plain


def _fold_layers(
    module: nn.Module,
    omega: Tensor | Mapping[str, float] | None,
    values: Mapping[str, float],
    memo: dict[nn.Module, nn.Module],
) -> nn.Module:
    """Put plain layers in the place of tunable ones; a layer under several names stays one layer."""
    if module in memo:
        return memo[module]
    if isinstance(module, TunableNetwork):
        memo[module] = _fold_network(module, module.omega(omega, **values))
        explicit = isinstance(module, (TunableLayer, TunableParameter))
        hook = _drop_last if explicit else _drop_keyword
        memo[module].register_forward_pre_hook(hook, with_kwargs=True)
        return memo[module]
    memo[module] = module
    for name, child in module._modules.items():
        if child is not None:
            module._modules[name] = _fold_layers(child, omega, values, memo)
    return module


def _drop_keyword(
    _: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Take omega out of a call of what was a tunable network."""
    return inputs, {name: value for name, value in options.items() if name != "omega"}


def _drop_last(
    module: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Take omega out of a call of what was an explicit layer: it may also come after x."""
    own = 0 if isinstance(module, Value) else 1
    return _drop_keyword(module, inputs[:own], options)
