"""Select the tensors of a network that become tunable, by name patterns and module types.

Everything that carries weights can be tunable: convolutions and transposed convolutions of any
dimension, linear layers, attention, free parameters and, when asked for, the affine of norms. By default
norms keep their one affine, as in the published networks (https://arxiv.org/abs/2304.00898).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from tunable_models._conversion.checks import NORMS, refuse_modules, refuse_whole
from tunable_models.errors import ConversionError, suggest_name

Pattern = str | type[nn.Module]
"""A name such as ``"body.*"``, with shell wildcards, of a tensor or of a module around it; or a type."""


@dataclass(frozen=True)
class Slot:
    """A tensor's place: the path of its module, empty for the root, and its name there."""

    path: str
    name: str

    @property
    def full_name(self) -> str:
        """As in ``named_parameters``."""
        return f"{self.path}.{self.name}" if self.path else self.name


def select_tensors(
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
    refuse_whole(module)
    candidates = list(_list_candidates(module))
    for patterns in (include or (), exclude):
        _refuse_unmatched(patterns, candidates)
    chosen = [c for c in candidates if _is_wanted(c, include) and not _matches_any(c, exclude)]
    if not chosen:
        found = ", ".join(c.slot.full_name for c in candidates[:5]) or "no parameters at all"
        raise ConversionError(
            f"expected a tensor to make tunable in {type(module).__name__}, such as a convolution's or a "
            f"linear layer's weight, found none; it has {found}"
        )
    _refuse_half_tied(chosen, candidates)
    holders = {module for candidate in chosen for _, module in candidate.around}
    refuse_modules(module, holders, {candidate.tensor for candidate in chosen})
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


def _list_candidates(module: nn.Module) -> Iterator[_Candidate]:
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


def _is_wanted(candidate: _Candidate, include: Sequence[Pattern] | None) -> bool:
    if include is None:
        return not isinstance(candidate.owner, NORMS)
    return _matches_any(candidate, include)


def _matches_any(candidate: _Candidate, patterns: Iterable[Pattern]) -> bool:
    return any(_matches_pattern(candidate, pattern) for pattern in patterns)


def _matches_pattern(candidate: _Candidate, pattern: Pattern) -> bool:
    if isinstance(pattern, str):
        names = [path for path, _ in candidate.around if path] + [candidate.slot.full_name]
        return any(fnmatchcase(name, pattern) for name in names)
    return any(isinstance(module, pattern) for _, module in candidate.around)


def _refuse_unmatched(patterns: Iterable[Any], candidates: list[_Candidate]) -> None:
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
    return any(_matches_pattern(candidate, pattern) for candidate in candidates)


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
