import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from networks import Mixed
from tunable_models import ConversionError, make_tunable
from tunable_models.selection import select


class Everything(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2)
        self.body = nn.ModuleList([nn.Conv1d(3, 3, 1), nn.Conv3d(3, 3, 1), nn.ConvTranspose2d(3, 3, 1)])
        self.norm = nn.GroupNorm(1, 3)
        self.scale = nn.Parameter(torch.ones(1, 3, 1, 1))
        self.index = nn.Parameter(torch.zeros(3, dtype=torch.long), requires_grad=False)


def _names(module: nn.Module, **options: Any) -> list[str]:
    return [slot.full_name for slot in select(module, **options)]


def test_everything_but_norms_by_default() -> None:
    names = _names(Everything())
    assert "scale" in names
    assert "attention.in_proj_weight" in names
    assert "attention.out_proj.weight" in names
    assert {"body.0.weight", "body.1.weight", "body.2.bias"} <= set(names)
    assert not [name for name in names if name.startswith("norm") or name == "index"]


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        ({"include": ["*"]}, r".*(?<!index)"),
        ({"include": ["body.*"]}, r"body\..*"),
        ({"include": ["body"]}, r"body\..*"),
        ({"include": ["*.weight"]}, r".*\.weight"),
        ({"include": [nn.Conv1d, nn.GroupNorm]}, r"(body\.0|norm)\..*"),
        ({"include": [nn.ModuleList], "exclude": ["*bias"]}, r"body\.\d\.weight"),
        ({"include": ["*"], "exclude": [nn.MultiheadAttention, "body"]}, r"norm\..*|scale"),
    ],
)
def test_include_and_exclude(options: dict[str, Any], pattern: str) -> None:
    module = Everything()
    every = [name for name, _ in module.named_parameters()]
    assert sorted(_names(module, **options)) == sorted(n for n in every if re.fullmatch(pattern, n))


@pytest.mark.parametrize("pattern", ["bodi.*", nn.Embedding, 3, "weights"])
@pytest.mark.parametrize("which", ["include", "exclude"])
def test_a_pattern_without_a_match_is_refused(pattern: Any, which: str) -> None:
    with pytest.raises(ConversionError, match=r"no tensor matches|expected name patterns"):
        select(Everything(), **{which: [pattern]})


def test_half_of_a_tied_pair_is_refused() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[1].weight = module[0].weight
    with pytest.raises(ConversionError, match=r"1\.weight is tied to 0\.weight"):
        select(module, exclude=["1.*"])


class Listed(nn.Module):
    """Keeps its layer once more where torch does not look."""

    def __init__(self, keep: Callable[[nn.Module], Any]) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.kept = keep(self.layer)


def _with_other_forward() -> nn.Module:
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].forward = nn.Linear.forward.__get__(module[0])
    return module


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.ReLU(), "found none"),
        (nn.BatchNorm2d(3), "found none"),
        (
            nn.Sequential(make_tunable(nn.Linear(2, 2), 2)),
            r"0 \(TunableNetwork\) tunable: it is already tunable",
        ),
        (nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), "computed weight"),
        (nn.Sequential(nn.utils.spectral_norm(nn.Linear(2, 2))), r"0 \(Linear\).*computed weight"),
        (nn.Sequential(nn.LazyLinear(2)), r"0 \(LazyLinear\).*no shape"),
        (nn.Sequential(nn.LSTM(2, 2)), r"0 \(LSTM\).*'_flat_weights'"),
        (nn.DataParallel(nn.Linear(2, 2)), "is wrapped"),
        (Listed(lambda layer: [layer]), "'kept'"),
        (Listed(lambda layer: {"w": layer.weight}), "'kept'"),
        (Listed(lambda layer: layer.forward), "'kept'"),
        (_with_other_forward(), r"0 \(Linear\).*'forward'"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_what_cannot_be_converted_is_named(module: nn.Module, words: str) -> None:
    with pytest.raises(ConversionError, match=words):
        make_tunable(module, 2)


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:FutureWarning")
def test_scripted_and_compiled_modules_are_refused() -> None:
    scripted = torch.jit.trace(nn.Linear(2, 2), torch.rand(1, 2), check_trace=False)
    with pytest.raises(ConversionError, match="scripted"):
        make_tunable(scripted, 2)
    with pytest.raises(ConversionError, match="compiled"):
        make_tunable(torch.compile(nn.Linear(2, 2)), 2)


def test_what_cannot_be_converted_may_be_excluded() -> None:
    module = nn.Sequential(nn.utils.spectral_norm(nn.Linear(2, 2)), nn.LSTM(2, 2), Mixed())
    names = make_tunable(module, 2, exclude=["0", nn.LSTM]).tunable_names
    assert names
    assert all(name.startswith("2.") for name in names)
