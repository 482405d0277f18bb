import collections
import functools
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import fx, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from networks import Mixed
from tunable_models import (
    ConversionError,
    build,
    export_program,
    fold,
    list_architectures,
    make_tunable,
    to_onnx,
)
from tunable_models._conversion.selection import select_tensors


class Everything(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2)
        self.body = nn.ModuleList([nn.Conv1d(3, 3, 1), nn.Conv3d(3, 3, 1), nn.ConvTranspose2d(3, 3, 1)])
        self.norm = nn.GroupNorm(1, 3)
        self.scale = nn.Parameter(torch.ones(1, 3, 1, 1))
        self.index = nn.Parameter(torch.zeros(3, dtype=torch.long), requires_grad=False)


def _names(module: nn.Module, **options: Any) -> list[str]:
    return [slot.full_name for slot in select_tensors(module, **options)]


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
        select_tensors(Everything(), **{which: [pattern]})


def test_half_of_a_tied_pair_is_refused() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[1].weight = module[0].weight
    with pytest.raises(ConversionError, match=r"1\.weight is tied to 0\.weight"):
        select_tensors(module, exclude=["1.*"])


class Listed(nn.Module):
    """Keeps its layer once more where torch does not look."""

    def __init__(self, keep: Callable[[nn.Module], Any]) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.kept = keep(self.layer)


class Helper:
    def __init__(self, kept: object) -> None:
        self.kept = kept


class Outer(nn.Module):
    """A hook on an inner layer that uses another layer."""

    def __init__(self, register: str) -> None:
        super().__init__()
        self.layer, self.relu = nn.Linear(2, 2), nn.ReLU()
        getattr(self.relu, register)(self.hook)

    def hook(self, _: nn.Module, *tensors: Any) -> torch.Tensor:
        output: torch.Tensor = self.layer(tensors[-1])
        return output


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
        (nn.Sequential(nn.LSTM(2, 2)), r"0 \(LSTM\).*'_flat_weight"),
        (nn.DataParallel(nn.Linear(2, 2)), "is wrapped"),
        (Listed(lambda layer: [layer]), "'kept'"),
        (Listed(lambda layer: {"w": layer.weight}), "'kept'"),
        (Listed(lambda layer: layer.forward), "'kept'"),
        (_with_other_forward(), r"0 \(Linear\).*'forward'"),
        (Listed(lambda layer: lambda x: layer(x)), "'kept'"),
        (Listed(Helper), "'kept'"),
        (Listed(lambda layer: functools.partial(F.linear, weight=layer.weight)), "'kept'"),
        (Listed(lambda layer: collections.deque([layer])), "'kept'"),
        (Listed(lambda layer: [nn.Sequential(layer)]), "'kept'"),
        (Outer("register_forward_hook"), r"relu \(ReLU\).*a forward hook"),
        (Outer("register_forward_pre_hook"), r"relu \(ReLU\).*a forward hook"),
        (
            nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)),
            r"1 \(BatchNorm2d\).*mix all omegas in it",
        ),
        (
            nn.Sequential(nn.Conv2d(3, 3, 1), nn.InstanceNorm2d(3, track_running_stats=True)),
            r"1 \(InstanceNorm2d\).*running statistics",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_what_cannot_be_converted_is_named(module: nn.Module, words: str) -> None:
    with pytest.raises(ConversionError, match=words):
        make_tunable(module, 2)


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:FutureWarning")
@pytest.mark.slow
def test_scripted_and_compiled_modules_are_refused() -> None:
    scripted = torch.jit.trace(nn.Linear(2, 2), torch.rand(1, 2), check_trace=False)
    with pytest.raises(ConversionError, match="scripted"):
        make_tunable(scripted, 2)
    with pytest.raises(ConversionError, match="compiled"):
        make_tunable(torch.compile(nn.Linear(2, 2)), 2)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    "put", [lambda scripted: scripted, lambda scripted: nn.Sequential(nn.Linear(2, 2), scripted)]
)
def test_a_scripted_file_is_refused(put: Callable[[nn.Module], nn.Module]) -> None:
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Sequential(nn.Linear(2, 2))), file)
    file.seek(0)
    with pytest.raises(ConversionError, match=r"is scripted or traced.*give the network in Python"):
        make_tunable(put(torch.jit.load(file)), 2)


@pytest.mark.parametrize("take", [lambda thing: make_tunable(thing, 2), fold, export_program, to_onnx])
@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (nn.Linear(2, 2).state_dict(), "tensors by name; load them into the network with load_checkpoint"),
        (nn.ReLU, r"the class ReLU; make a network of it, ReLU\(\.\.\.\)"),
        ("model.pth", "got str; give the network"),
        (None, "got NoneType; give the network"),
    ],
)
def test_what_is_no_network_is_refused(take: Callable[[Any], object], thing: Any, words: str) -> None:
    with pytest.raises(ConversionError, match=words):
        take(thing)


def test_what_cannot_be_converted_may_be_excluded() -> None:
    module = nn.Sequential(nn.utils.spectral_norm(nn.Linear(2, 2)), nn.LSTM(2, 2), Mixed())
    names = make_tunable(module, 2, exclude=["0", nn.LSTM]).tunable_names
    assert names
    assert all(name.startswith("2.") for name in names)


class Recorder:
    def __init__(self) -> None:
        self.means: list[float] = []

    def note(self, _: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self.means.append(inputs[0].mean().item())


def test_hooks_that_know_nothing_of_the_network_are_allowed() -> None:
    seen: list[torch.Size] = []
    module = Mixed().eval()
    module.head.register_forward_hook(lambda _, __, output: seen.append(output.shape))
    module.norm.register_forward_pre_hook(Recorder().note)
    network = make_tunable(module, 2).eval()
    network(torch.rand(1, 3, 4, 4), omega=torch.rand(2))
    assert seen == [(1, 4, 4, 4)]


def test_a_traced_graph_is_converted() -> None:
    source = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())
    network = make_tunable(fx.symbolic_trace(source), 1)
    torch.nn.init.ones_(network.get_parameter("network.0.weight_deltas"))
    x = torch.rand(1, 3, 4, 4)
    torch.testing.assert_close(network(x, omega=torch.zeros(1)), source(x))
    assert not torch.equal(network(x, omega=torch.ones(1)), source(x))


class OwnBatchNorm(_BatchNorm):
    def _check_input_dim(self, input: torch.Tensor) -> None: ...


def test_a_batch_norm_of_ones_own_is_a_batch_norm() -> None:
    module = nn.Sequential(nn.Conv2d(3, 3, 1), OwnBatchNorm(3), nn.InstanceNorm2d(3, affine=True))
    network = make_tunable(module, 2).train()
    assert network.tunable_names == ["0.weight", "0.bias"]
    network(torch.rand(2, 3, 4, 4), omega=torch.rand(2, 2))
    assert torch.equal(network.get_buffer("network.1.running_mean"), torch.zeros(3))


def test_empty_tensors_stay_plain() -> None:
    module = nn.Linear(2, 2)
    module.register_parameter("empty", nn.Parameter(torch.zeros(0, 3)))
    assert _names(module) == ["weight", "bias"]
    assert make_tunable(module, 2)(torch.rand(1, 2), omega=torch.rand(2)).shape == (1, 2)
    with pytest.raises(ConversionError, match="no tensor matches 'empty'"):
        select_tensors(module, include=["empty"])


@pytest.mark.parametrize("name", list_architectures())
def test_every_architecture_can_be_converted(name: str) -> None:
    with torch.device("meta"):
        assert select_tensors(build(name))


@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny", "swin_t", "vit_b_16"])
def test_networks_of_others_can_be_converted(name: str) -> None:
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        assert select_tensors(getattr(models, name)())
