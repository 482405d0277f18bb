"""Which tensors of a network become tunable, and what is refused, by name and with the reason.

Everything that carries weights can be tunable: convolutions and transposed convolutions of any
dimension, linear layers, attention, free parameters and, when asked for, the affine of norms. By default
norms keep their one affine, as in the published networks (https://arxiv.org/abs/2304.00898).
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from tunable_models.aliases import reached
from tunable_models.errors import ConversionError, suggest_name

Pattern = str | type[nn.Module]
"""A name such as ``"body.*"``, with shell wildcards, of a tensor or of a module around it; or a type."""

BATCH_NORMS = (_BatchNorm,)
NORMS = (*BATCH_NORMS, _InstanceNorm, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
"""Layers whose affine stays as it is unless ``include`` names it; subclasses count."""


@dataclass(frozen=True)
class Slot:
    """A tensor's place: the path of its module, empty for the root, and its name there."""

    path: str
    name: str

    @property
    def full_name(self) -> str:
        """As in ``named_parameters``."""
        return f"{self.path}.{self.name}" if self.path else self.name


def select(
    module: nn.Module, include: Sequence[Pattern] | None = None, exclude: Sequence[Pattern] = ()
) -> list[Slot]:
    """The tensors to make tunable, a module under several names counted once.

    Args:
        module: the source.
        include: patterns; by default everything but norms.
        exclude: patterns that win over ``include``.

    Raises:
        ConversionError: a pattern matches nothing, nothing is selected, a selected tensor is tied to one
            that is not, or a module on the way cannot be converted.
    """
    _refuse_whole(module)
    candidates = list(_candidates(module))
    for patterns in (include or (), exclude):
        _refuse_idle(patterns, candidates)
    chosen = [c for c in candidates if _wanted(c, include) and not _matches_any(c, exclude)]
    if not chosen:
        found = ", ".join(c.slot.full_name for c in candidates[:5]) or "no parameters at all"
        raise ConversionError(
            f"expected a tensor to make tunable in {type(module).__name__}, such as a convolution's or a "
            f"linear layer's weight, found none; it has {found}"
        )
    _refuse_half_tied(chosen, candidates)
    _refuse_modules(module, chosen)
    return [c.slot for c in chosen]


@dataclass(frozen=True)
class _Candidate:
    slot: Slot
    tensor: nn.Parameter
    around: tuple[tuple[str, nn.Module], ...]
    """The modules that hold it, the root first, with their paths."""

    @property
    def owner(self) -> nn.Module:
        return self.around[-1][1]


def _candidates(module: nn.Module) -> Iterator[_Candidate]:
    named = dict(module.named_modules())
    for path, owner in named.items():
        parts = path.split(".") if path else []
        paths = [".".join(parts[:n]) for n in range(len(parts) + 1)]
        around = tuple((p, module.get_submodule(p)) for p in paths)
        for name, tensor in owner._parameters.items():
            if tensor is not None and _holds_numbers(tensor):
                yield _Candidate(Slot(path, name), tensor, around)


def _holds_numbers(tensor: nn.Parameter) -> bool:
    """Whether there is something to mix: no indices, and not an empty tensor."""
    mixable = tensor.is_floating_point() or tensor.is_complex()
    return mixable and (is_lazy(tensor) or tensor.numel() > 0)


def _wanted(candidate: _Candidate, include: Sequence[Pattern] | None) -> bool:
    if include is None:
        return not isinstance(candidate.owner, NORMS)
    return _matches_any(candidate, include)


def _matches_any(candidate: _Candidate, patterns: Iterable[Pattern]) -> bool:
    return any(_matches(candidate, pattern) for pattern in patterns)


def _matches(candidate: _Candidate, pattern: Pattern) -> bool:
    if isinstance(pattern, str):
        names = [path for path, _ in candidate.around if path] + [candidate.slot.full_name]
        return any(fnmatchcase(name, pattern) for name in names)
    return any(isinstance(module, pattern) for _, module in candidate.around)


def _refuse_idle(patterns: Iterable[Any], candidates: list[_Candidate]) -> None:
    """A pattern that matches nothing is a typing mistake."""
    for pattern in patterns:
        if not isinstance(pattern, str) and not (
            isinstance(pattern, type) and issubclass(pattern, nn.Module)
        ):
            raise ConversionError(f"expected name patterns or module types, got {pattern!r}")
        if not _any_match(pattern, candidates):
            names = [c.slot.full_name for c in candidates]
            hint = suggest_name(pattern, names, "there are")
            raise ConversionError(f"no tensor matches {pattern!r}{hint}")


def _any_match(pattern: Pattern, candidates: list[_Candidate]) -> bool:
    return any(_matches(candidate, pattern) for candidate in candidates)


def _refuse_half_tied(chosen: list[_Candidate], candidates: list[_Candidate]) -> None:
    names = {c.slot.full_name for c in chosen}
    tensors = {c.tensor: c.slot.full_name for c in chosen}
    for candidate in candidates:
        name = candidate.slot.full_name
        if candidate.tensor in tensors and name not in names:
            raise ConversionError(
                f"{name} is tied to {tensors[candidate.tensor]}, so both are tunable or none; "
                "include or exclude both"
            )


def check_module(module: object) -> None:
    """Refuse what is no network, such as what belongs into one.

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


def _refuse_whole(root: nn.Module) -> None:
    for path, module in root.named_modules():
        reason = _whole_reason(module)
        if reason:
            raise _refusal(path, module, reason)


def _refuse_modules(root: nn.Module, chosen: list[_Candidate]) -> None:
    holders = {module for candidate in chosen for _, module in candidate.around}
    tensors = {candidate.tensor for candidate in chosen}
    for path, module in root.named_modules():
        reason = _computed(module, holders) or _aliased(module, holders, tensors)
        if reason:
            raise _refusal(path, module, f"{reason}, or exclude it")


def _refusal(path: str, module: nn.Module, reason: str) -> ConversionError:
    where = f"{path or 'the module'} ({type(module).__name__})"
    return ConversionError(f"cannot make {where} tunable: it {reason}")


def _whole_reason(module: nn.Module) -> str:
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
    return _statistics_reason(module)


def _is_compiled(module: nn.Module) -> bool:
    # What compiled it has been imported already. Importing it here would take longer than most conversions.
    return isinstance(module, getattr(sys.modules.get("torch._dynamo"), "OptimizedModule", ()))


def _statistics_reason(module: nn.Module) -> str:
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


def _computed(module: nn.Module, holders: set[nn.Module]) -> str:
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


def _aliased(module: nn.Module, holders: set[nn.Module], tensors: set[nn.Parameter]) -> str:
    """A second reference outside the module tree would lead past the mixed tensors, silently."""
    for name, value in module.__dict__.items():
        if name not in _TORCHS_OWN and any(_leads_to(item, holders, tensors) for item in reached(value)):
            where = "a forward hook" if name in _HOOKS else f"the attribute {name!r}"
            return f"keeps tensors or modules of its own once more in {where}; remove that"
    return ""


def aliased_paths(root: nn.Module) -> frozenset[str]:
    """Modules that more than their parents leads to: a call must meet the same one on every way.

    Only such as hold nothing tunable: :func:`select` refuses the others.
    """
    modules = list(root.modules())
    values = [value for m in modules for name, value in m.__dict__.items() if name not in _TORCHS_OWN]
    found = {
        module
        for value in values
        for item in reached(value)
        if isinstance(item, nn.Module)
        for module in item.modules()
    }
    return frozenset(path for path, module in root.named_modules() if module in found)


def refuse_computing_modes(root: nn.Module, slots: Sequence[Slot]) -> None:
    """Refuse a module that computes tensors from its own where the mode changes, at one omega for all.

    Both modes are entered, so that a source forgets what it cached in the other.

    Raises:
        ConversionError: which, and what it computes.
    """
    owners = {path: root.get_submodule(path) for path in dict.fromkeys(slot.path for slot in slots)}
    before = {path: dict(module.__dict__) for path, module in owners.items()}
    for mode in (not root.training, root.training):
        root.train(mode)
        for path, module in owners.items():
            for name, value in module.__dict__.items():
                if isinstance(value, Tensor) and value is not before[path].get(name):
                    reason = f"computes {name!r} in train() or eval(); exclude its tensors"
                    raise _refusal(path, module, reason)


def _leads_to(item: Any, holders: set[nn.Module], tensors: set[nn.Parameter]) -> bool:
    if isinstance(item, nn.Module):  # maybe one that is not registered, around one that is
        return not holders.isdisjoint(item.modules()) or not tensors.isdisjoint(item.parameters())
    return isinstance(item, nn.Parameter) and item in tensors
