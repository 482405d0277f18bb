"""Refuse networks that cannot be made tunable, by name and with the reason."""

import copy
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils import parametrize

from tunable_models._conversion.hidden_refs import walk_references
from tunable_models.errors import ConversionError

BATCH_NORMS = (_BatchNorm,)
NORMS = (*BATCH_NORMS, _InstanceNorm, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
"""Layers whose affine stays as it is unless ``include`` names it; subclasses count."""


def check_module(module: object) -> None:
    """Refuse a value that is not a network, such as a class or a state dict.

    Raises:
        ConversionError: what to give instead.
    """
    if isinstance(module, nn.Module):
        return
    if isinstance(module, type):
        found = f"the class {module.__name__}; make a network of it, {module.__name__}(...)"
    elif isinstance(module, Mapping):
        found = "tensors by name; load them into the network with load_checkpoint and give that"
    else:
        found = f"{type(module).__name__}; give the network in Python that it was made of"
    raise ConversionError(f"expected a network (nn.Module), got {found}")


def refuse_whole(root: nn.Module) -> None:
    """Refuse a network with a module to which no tensors could be bound, whatever is excluded.

    Raises:
        ConversionError: the module and the reason.
    """
    for path, module in root.named_modules():
        reason = _explain_unbindable(module)
        if reason:
            raise _make_refusal(path, module, reason)


def refuse_modules(root: nn.Module, holders: set[nn.Module], tensors: set[nn.Parameter]) -> None:
    """Refuse modules that would keep using the source's tensors instead of mixed ones.

    Args:
        root: the source.
        holders: the modules around what becomes tunable.
        tensors: what becomes tunable.

    Raises:
        ConversionError: the module and the reason.
    """
    for path, module in root.named_modules():
        reason = _explain_computed(module, holders) or _explain_hidden_reference(module, holders, tensors)
        if reason:
            raise _make_refusal(path, module, f"{reason}, or exclude it")


def _make_refusal(path: str, module: nn.Module, reason: str) -> ConversionError:
    where = f"{path or 'the module'} ({type(module).__name__})"
    return ConversionError(f"cannot make {where} tunable: it {reason}")


def _explain_unbindable(module: nn.Module) -> str:
    """Why no tensor below could be bound, whatever is excluded."""
    if isinstance(module, torch.jit.ScriptModule):
        return (
            "is scripted or traced, so its forward cannot be bound to other tensors; give the network in "
            "Python, with this one's state_dict() loaded into it"
        )
    if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        return "is wrapped; convert its .module and wrap the result"
    if _is_compiled(module):
        return "is compiled; convert its ._orig_mod and compile the result"
    if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
        return "has no shape yet; run the network once first"
    return _explain_statistics(module)


def _is_compiled(module: nn.Module) -> bool:
    # What compiled it has been imported already. Importing it here would take longer than most conversions.
    return isinstance(module, getattr(sys.modules.get("torch._dynamo"), "OptimizedModule", ()))


def _explain_statistics(module: nn.Module) -> str:
    """A norm whose statistics no frozen buffer can hold makes one omega's output depend on the others."""
    if isinstance(module, BATCH_NORMS) and (module.running_mean is None or module.running_var is None):
        return (
            "normalises by the statistics of the batch, which would mix all omegas in it; use one with "
            "track_running_stats=True, whose statistics stay frozen"
        )
    if isinstance(module, _InstanceNorm) and module.running_mean is not None:
        return (
            "keeps running statistics, which would mix all omegas seen in training; use one with "
            "track_running_stats=False"
        )
    return ""


def _explain_computed(module: nn.Module, holders: set[nn.Module]) -> str:
    """A weight that a parametrisation computes is no parameter, so mixing would not reach it."""
    old_style = isinstance(getattr(module, "weight", None), Tensor) and not (
        "weight" in module._parameters or "weight" in module._buffers
    )
    if module in holders and (old_style or parametrize.is_parametrized(module)):
        return "has a computed weight; remove its parametrisation, such as spectral_norm, first"
    return ""


# What else a call meets among the attributes of every module: its hooks.
_HOOKS = {"_forward_hooks", "_forward_pre_hooks"}
_TORCHS_OWN = frozenset(nn.Module().__dict__) - {"training"} - _HOOKS


def _explain_hidden_reference(module: nn.Module, holders: set[nn.Module], tensors: set[nn.Parameter]) -> str:
    """A second reference outside the module tree would silently bypass the mixed tensors."""
    for name, value in module.__dict__.items():
        if name not in _TORCHS_OWN and any(
            _leads_to(item, holders, tensors) for item in walk_references(value)
        ):
            where = "a forward hook" if name in _HOOKS else f"the attribute {name!r}"
            return f"keeps tensors or modules of its own once more in {where}; remove that"
    return ""


def find_shared_modules(root: nn.Module) -> frozenset[str]:
    """Paths of modules that are referenced from outside the module tree too, so that calls must share them.

    They hold nothing tunable: :func:`refuse_modules` refuses the others.
    """
    modules = list(root.modules())
    values = [value for m in modules for name, value in m.__dict__.items() if name not in _TORCHS_OWN]
    found = {
        module
        for value in values
        for item in walk_references(value)
        if isinstance(item, nn.Module)
        for module in item.modules()
    }
    return frozenset(path for path, module in root.named_modules() if module in found)


def refuse_computing_modes(root: nn.Module, paths: Iterable[str]) -> None:
    """Refuse a module that recomputes tensors from its own in train() or eval(), at one omega for all.

    Enters both modes, so that a source drops what it cached in the other.

    Raises:
        ConversionError: which, and what it computes.
    """
    owners = {path: root.get_submodule(path) for path in dict.fromkeys(paths)}
    before = {path: dict(module.__dict__) for path, module in owners.items()}
    for mode in (not root.training, root.training):
        root.train(mode)
        for path, module in owners.items():
            for name, value in module.__dict__.items():
                if isinstance(value, Tensor) and value is not before[path].get(name):
                    reason = f"computes {name!r} in train() or eval(); exclude its tensors"
                    raise _make_refusal(path, module, reason)


def _leads_to(item: Any, holders: set[nn.Module], tensors: set[nn.Parameter]) -> bool:
    if isinstance(item, nn.Module):  # maybe one that is not registered, around one that is
        return not holders.isdisjoint(item.modules()) or not tensors.isdisjoint(item.parameters())
    return isinstance(item, nn.Parameter) and item in tensors


def copy_module(module: nn.Module) -> nn.Module:
    """A deep copy.

    Raises:
        ConversionError: whatever an attribute's own copying raises, with the cure where there is one.
    """
    try:
        return copy.deepcopy(module)
    except Exception as error:
        left = _find_computed_tensor(module)
        cure = "set it to None, or call the module once under torch.no_grad()"
        reason = f"{left} is a tensor that an earlier call computed; {cure}" if left else str(error)
        kind = type(module).__name__
        raise ConversionError(f"cannot copy {kind}, as a tunable network must: {reason}") from error


def _find_computed_tensor(module: nn.Module) -> str:
    for path, child in module.named_modules():
        for name, value in (child.__dict__ | child._buffers).items():
            if isinstance(value, Tensor) and not value.is_leaf:
                return f"{path}.{name}" if path else name
    return ""
