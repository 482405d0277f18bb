"""Whatever a user does to a network, output and gradients stay those of kernels mixed by hand."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from networks import omegas, perturb, reference, tunable
from tunable_models import ControlSpace, TunableNetwork, build, make_tunable
from tunable_models.bases import BasisName

BASES: list[BasisName] = ["linear", "affine", "delta", "multilinear"]


@pytest.fixture
def fresh_compiler() -> None:
    """What other tests compiled counts against a limit that all networks share."""
    torch.compiler.reset()


def _images(batch: int = 2, size: tuple[int, int] = (8, 6)) -> Tensor:
    return torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(3))


class Attention(nn.Module):
    """Every kind of tensor that is no convolution: attention, tables, scales, norms, an embedding."""

    def __init__(self, scales: int = 2) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 2, stride=2)
        self.place = nn.Parameter(torch.rand(12, 8))
        self.kind = nn.Embedding(3, 8)
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(8)) for _ in range(scales)])
        self.out = nn.ConvTranspose2d(8, 3, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.embed(x)
        tokens = y.flatten(2).mT + self.place + self.kind(torch.arange(12) % 3)
        for scale in self.scales:
            normed = self.norm(tokens)
            tokens = tokens + scale * self.attention(normed, normed, normed, need_weights=False)[0]
        output: Tensor = self.out(self.layer(tokens).mT.reshape(y.shape))
        return x + output


class Recomputed(nn.Module):
    """Activation checkpointing around convolutions and a free parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 3, 3, padding=1) for _ in range(2)])
        self.scale = nn.Parameter(torch.ones(3, 1, 1))
        self.recompute = True

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = checkpoint(layer, x, use_reentrant=False) if self.recompute else layer(x)
            x = x.tanh() * self.scale
        return x


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.second.weight = self.first.weight
        self.again = self.first

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.again(self.second(self.first(x).tanh()))
        return y


SOURCES: dict[str, Callable[[], nn.Module]] = {
    "edsr": lambda: build("edsr", width=4, blocks=1),
    "attention": Attention,
    "recomputed": Recomputed,
    "tied": Tied,
}


def _gradients(network: TunableNetwork, output: Tensor, *more: Tensor) -> list[Tensor]:
    parameters = [p for p in network.parameters() if p.requires_grad]
    found = torch.autograd.grad(output.square().sum(), [*parameters, *more], allow_unused=True)
    wanted = [*parameters, *more]
    return [torch.zeros_like(p) if g is None else g.float() for p, g in zip(wanted, found, strict=True)]


def _assert_equal(ours: list[Tensor], theirs: list[Tensor], tolerance: float = 1e-4) -> None:
    scale = max(float(gradient.abs().max()) for gradient in theirs)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * scale)


def _by_hand(network: TunableNetwork, x: Tensor, omega: Tensor) -> Tensor:
    if omega.dim() == 1:
        return reference(network, x, omega)
    return torch.cat([reference(network, x[i : i + 1], omega[i]) for i in range(len(omega))])


def _check(network: TunableNetwork, x: Tensor, omega: Tensor) -> None:
    omega = omega.clone().requires_grad_()
    ours, theirs = network(x, omega=omega), _by_hand(network, x, omega)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    _assert_equal(_gradients(network, ours, omega), _gradients(network, theirs, omega))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("per_sample", [False, True])
def test_gradients_equal_those_of_kernels_mixed_by_hand(
    source: str, basis: BasisName, per_sample: bool
) -> None:
    network = tunable(basis, SOURCES[source]())
    omega = omegas(network, 2)
    _check(network, _images(), omega if per_sample else omega[0])


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "options", [{"rank": 1}, {"rank": 2, "train": "deltas"}, {"include": ["*"]}, {"train": "deltas"}]
)
def test_gradients_with_options(source: str, options: dict[str, Any]) -> None:
    network = tunable("delta", SOURCES[source](), **options)
    _check(network, _images(), omegas(network, 2)[0])


@pytest.mark.parametrize("basis", BASES)
def test_gradcheck(basis: BasisName) -> None:
    module = nn.Sequential(nn.Conv2d(2, 3, 2), nn.Tanh(), nn.ConvTranspose2d(3, 2, 2), nn.GroupNorm(1, 2))
    network = tunable(basis, module, include=["*"]).double()
    x = torch.rand(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    names, parameters = zip(*network.named_parameters(), strict=True)

    def call(x: Tensor, omega: Tensor, *tensors: Tensor) -> Tensor:
        state = dict(zip(names, tensors, strict=True))
        output: Tensor = torch.func.functional_call(network, state, (x,), {"omega": omega})
        return output

    omega = omegas(network, 2).double()
    if network.space.kind == "simplex":  # off the simplex there is nothing to differentiate
        assert torch.autograd.gradcheck(lambda x, *p: call(x, omega, *p), (x, *parameters), fast_mode=True)
        return
    omega = omega * 0.8 + 0.1  # room to both sides
    for value in (omega[0], omega):
        inputs = (x, value.clone().requires_grad_(), *parameters)
        assert torch.autograd.gradcheck(call, inputs, fast_mode=True)


def test_recomputing_activations_changes_nothing() -> None:
    network = tunable("delta", Recomputed())
    results = []
    for recompute in (False, True):
        network.network.recompute = recompute
        results.append(_gradients(network, network(_images(), omega=omegas(network, 2))))
    _assert_equal(*results, tolerance=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("source", ["edsr", "attention"])
def test_autocast_mixes_in_float32_and_casts_once(dtype: torch.dtype, source: str) -> None:
    network = tunable("delta", SOURCES[source]())
    x, omega = _images(), omegas(network, 2)[0]
    with torch.autocast("cpu", dtype=dtype):
        ours, theirs = network(x, omega=omega), reference(network, x, omega)
    assert ours.dtype == theirs.dtype
    _assert_equal(_gradients(network, ours), _gradients(network, theirs), tolerance=0.02)
    # Kernels that were mixed in half precision would move this far slider not at all.
    with torch.autocast("cpu", dtype=dtype):
        near = network.mixed(omega.clone().mul_(1 + 2**-12))
        same = network.mixed(omega)
    name = "head.0" if source == "edsr" else "embed"
    assert not torch.equal(near[name]["weight"], same[name]["weight"])


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("per_sample", [False, True])
def test_channels_last(basis: BasisName, per_sample: bool) -> None:
    network = tunable(basis, build("edsr", width=4, blocks=1))
    x, omega = _images(), omegas(network, 2)
    omega = omega if per_sample else omega[0]
    before = _gradients(network, network(x, omega=omega))
    network(x, omega=omega).square().sum().backward()  # gradients move along
    network.to(memory_format=torch.channels_last)
    output = network(x.to(memory_format=torch.channels_last), omega=omega)
    _assert_equal(_gradients(network, output), before)
    if not per_sample:
        assert network.mixed(omega)["body.0.body.0"]["weight"].is_contiguous(
            memory_format=torch.channels_last
        )


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.slow
@pytest.mark.parametrize(
    "source",
    [
        pytest.param(SOURCES["edsr"], id="edsr"),
        pytest.param(lambda: Attention(scales=1), id="attention"),
        pytest.param(Tied, id="tied"),
    ],
)
def test_compiled(source: Callable[[], nn.Module]) -> None:
    network = tunable("delta", source())
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    x = _images()
    for index, omega in enumerate(omegas(network, 3)):
        # Another omega is no other graph.
        with torch.compiler.set_stance("fail_on_recompile" if index else "default"):
            output = compiled(x, omega=omega)
        torch.testing.assert_close(output, network(x, omega=omega), rtol=1e-4, atol=1e-4)
    ours, theirs = compiled(x, omega=omega), network(x, omega=omega)
    _assert_equal(_gradients(network, ours), _gradients(network, theirs))
    own = omegas(network, 2)
    ours, theirs = compiled(x, omega=own), network(x, omega=own)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    _assert_equal(_gradients(network, ours), _gradients(network, theirs))


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.slow
def test_compiled_calls_check_the_batch() -> None:
    network = tunable("delta", nn.Conv2d(3, 3, 1))
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    for side in (8, 9):  # sizes the compiler then leaves open
        compiled(_images(size=(side, side)), omega=omegas(network, 2))
    with pytest.raises(Exception, match="rows, the inputs' batch must be as large"):
        compiled(_images(size=(10, 10)), omega=omegas(network, 3))


def test_the_batch_may_come_second() -> None:
    attention = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0)
    network = tunable("delta", attention, batch_dim=1)
    x, omega = torch.rand(5, 3, 8), omegas(network, 3)
    loop = torch.cat([network(x[:, i : i + 1], omega=omega[i]) for i in range(3)], dim=1)
    torch.testing.assert_close(network(x, omega=omega), loop)


def test_every_parameter_of_tied_layers_is_trained() -> None:
    network = tunable("affine", Tied())
    network(_images(), omega=omegas(network, 2)[0]).square().sum().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def _seeded() -> TunableNetwork:
    torch.manual_seed(0)
    return tunable("delta", Recomputed())


def _worker(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    store = dist.FileStore(str(folder / "store"), 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    network = _seeded()
    model = DistributedDataParallel(network)
    for start in range(2):  # a second step meets reduced gradients and moved kernels
        model.zero_grad()
        output = model(_images(4)[2 * rank : 2 * rank + 2], omega=omegas(network, 4)[2 * rank : 2 * rank + 2])
        output.square().mean().backward()
        if start == 0:
            _step(network)
    if rank == 0:
        torch.save([parameter.grad for parameter in network.parameters()], folder / "gradients.pt")
    dist.barrier()
    dist.destroy_process_group()


def _step(network: nn.Module) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.sub_(0.1 * parameter.grad)


@pytest.mark.slow
def test_distributed_data_parallel_equals_one_process(tmp_path: Path) -> None:
    context = torch.multiprocessing.get_context("spawn")
    processes = [context.Process(target=_worker, args=(rank, tmp_path), daemon=True) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    network = _seeded()
    for step in range(2):
        network.zero_grad()
        network(_images(4), omega=omegas(network, 4)).square().mean().backward()
        if step == 0:
            _step(network)
    got = torch.load(tmp_path / "gradients.pt")
    for ours, parameter in zip(got, network.parameters(), strict=True):
        torch.testing.assert_close(ours, parameter.grad, rtol=1e-4, atol=1e-6)


class Dropped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.drop = nn.Conv2d(3, 3, 1), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.drop(self.conv(x))
        return y


@pytest.mark.parametrize("per_sample", [False, True])
def test_dropout_draws_like_the_source(per_sample: bool) -> None:
    network = tunable("delta", Dropped()).train()
    omega = omegas(network, 2)
    torch.manual_seed(5)
    ours = network(_images(), omega=omega if per_sample else omega[0])
    torch.manual_seed(5)
    masks = F.dropout(torch.ones_like(ours))
    expected = network.eval()(_images(), omega=omega if per_sample else omega[0]) * masks
    torch.testing.assert_close(ours, expected)
    assert (ours == 0).any()
    assert not (network.eval()(_images(), omega=omega[0]) == 0).any()


@pytest.mark.parametrize("options", [{}, {"rank": 1}, {"train": "deltas"}])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
def test_copies_are_equal_and_apart(
    options: dict[str, Any], copied: Callable[[nn.Module], nn.Module]
) -> None:
    network = tunable("delta", Tied(), **options)
    other = copied(network)
    omega = omegas(network, 1)[0]
    ours, theirs = network(_images(), omega=omega), other(_images(), omega=omega)
    assert torch.equal(ours, theirs)
    _assert_equal(_gradients(network, ours), _gradients(other, theirs), tolerance=0)
    perturb(other)
    assert torch.equal(network(_images(), omega=omega), ours)
    assert not torch.equal(other(_images(), omega=omega), ours)


@pytest.mark.parametrize("basis", BASES)
def test_safetensors_round_trip_with_tied_tensors(basis: BasisName, tmp_path: Path) -> None:
    network = tunable(basis, Tied())
    safetensors.torch.save_model(network, str(tmp_path / "model.safetensors"))
    other = make_tunable(Tied(), network.space, basis).eval()
    safetensors.torch.load_model(other, tmp_path / "model.safetensors")
    omega = omegas(network, 1)[0]
    ours, theirs = network(_images(), omega=omega), other(_images(), omega=omega)
    assert torch.equal(ours, theirs)
    _assert_equal(_gradients(network, ours), _gradients(other, theirs), tolerance=0)


@pytest.mark.parametrize("basis", ["delta", "multilinear"])
@pytest.mark.parametrize("rank", [None, 1])
def test_with_deltas_trained_omega_zero_stays_exactly_the_original(
    basis: BasisName, rank: int | None
) -> None:
    source = Attention().eval()
    network = make_tunable(source, 2, basis, rank=rank, train="deltas").eval()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        network(_images(), omega=torch.tensor([0.5, 1.0])).square().mean().backward()
        optimizer.step()
    assert torch.equal(network(_images(), omega=torch.zeros(2)), source(_images()))
    assert not torch.allclose(network(_images(), omega=torch.ones(2)), source(_images()), atol=1e-3)
    state = network.network.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in source.state_dict().items())


def test_a_simplex_keeps_the_original_at_its_first_vertex() -> None:
    source = build("edsr", width=4, blocks=1)
    network = make_tunable(source, ControlSpace.simplex("a", "b"), train="deltas")
    perturb_deltas(network)
    assert torch.equal(network(_images(), omega=torch.tensor([1.0, 0.0])), source(_images()))


def perturb_deltas(network: TunableNetwork) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)


def test_functional_losses_and_several_calls_before_backward() -> None:
    network = tunable("delta", build("edsr", width=4, blocks=1))
    x, omega = _images(), omegas(network, 2)
    together = F.mse_loss(network(x, omega=omega[0]), network(x, omega=omega[1]))
    apart = F.mse_loss(reference(network, x, omega[0]), reference(network, x, omega[1]))
    _assert_equal(_gradients(network, together), _gradients(network, apart))


def test_nothing_on_the_network_changes_in_a_call() -> None:
    network = tunable("delta", Attention())
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modules = {name: _shallow(module) for name, module in network.named_modules()}
    for omega in (omegas(network, 2), omegas(network, 2)[0]):
        network(_images(), omega=omega)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    for name, module in network.named_modules():
        assert modules[name] == _shallow(module)


def _shallow(module: nn.Module) -> dict[str, Any]:
    """Everything on a module: containers by the identity of what they hold."""
    return {
        name: {key: id(item) for key, item in value.items()} if isinstance(value, dict) else id(value)
        for name, value in module.__dict__.items()
    }
