"""What forwards write on self: caches are right at every omega, states go on at the same one."""

import copy
import pickle
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from networks import perturb
from tunable_models import ConversionError, TunableNetwork, export_program, fold, make_tunable
from tunable_models._execution.states import KEPT

A, B = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
X = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(3))


def _dictionary(m: "Cached") -> Tensor:
    if "bias" not in m.kept:
        m.kept["bias"] = m.bias * 1
    return m.kept["bias"]


def _nested(m: "Cached") -> Tensor:
    cache = m.kept.setdefault("cpu", defaultdict(list))["biases"]
    if not cache:
        cache.append(m.bias * 1)
    return cache[0]


def _list(m: "Cached") -> Tensor:
    if not m.items:
        m.items.append(m.bias * 1)
    return m.items[0]


def _deque(m: "Cached") -> Tensor:
    if not m.last:
        m.last.append(m.bias * 1)
    return m.last[-1]


def _attribute(m: "Cached") -> Tensor:
    if m.computed is None:
        m.computed = m.bias * 1
    return m.computed


def _new_attribute(m: "Cached") -> Tensor:
    if not hasattr(m, "made"):
        m.made = m.bias * 1
    return m.made


def _deleted(m: "Cached") -> Tensor:
    if "marker" in m.__dict__:
        del m.marker
        m.computed = m.bias * 1
    return m.computed


def _in_a_child(m: "Cached") -> Tensor:
    return m.child(m.bias)


def _own_type(m: "Cached") -> Tensor:
    if "bias" not in m.store:
        m.store["bias"] = m.bias * 1
    return m.store["bias"]


def _tuple(m: "Cached") -> Tensor:
    if not m.both[1]:
        m.both[1].append(m.bias * 1)
    return m.both[1][0]


def _of_all(m: "Cached") -> Tensor:
    if "bias" not in m.kept:
        m.child.kept["bias"] = m.bias * 1
    return m.kept["bias"]


def _of_the_class(m: "Cached") -> Tensor:
    if "bias" not in m.everyones:
        m.everyones["bias"] = m.bias * 1
    return m.everyones["bias"]


CACHES = [
    _dictionary,
    _nested,
    _list,
    _deque,
    _attribute,
    _new_attribute,
    _deleted,
    _in_a_child,
    _own_type,
    _tuple,
    _of_all,
]


class Store(dict[str, Tensor]):
    """A dictionary of one's own type."""


class Keeper(nn.Module):
    """Nothing tunable; it keeps what it is given first, in a dictionary that its parent has too."""

    def __init__(self, kept: dict[str, Any]) -> None:
        super().__init__()
        self.kept = kept

    def forward(self, x: Tensor) -> Tensor:
        return self.kept.setdefault("given", x * 1)


class Cached(nn.Module):
    """The way of attention that caches its bias by device."""

    everyones: ClassVar[dict[str, Tensor]] = {}

    def __init__(self, use: Callable[["Cached"], Tensor]) -> None:
        super().__init__()
        self.conv, self.bias = nn.Conv2d(3, 3, 1), nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.kept: dict[str, Any] = {}
        self.items: list[Tensor] = []
        self.last: deque[Tensor] = deque(maxlen=1)
        self.computed, self.marker = None, True
        self.store = Store()
        self.both: tuple[str, list[Tensor]] = ("biases", [])
        self.child = Keeper(self.kept)
        self.use = use

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x) + (self.bias if self.training else self.use(self))
        return y


def _tunable(source: nn.Module, **options: Any) -> TunableNetwork:
    net = make_tunable(source, 2, **options).eval()
    perturb(net, 0.5)
    return net


def _by_hand(net: TunableNetwork, fresh: nn.Module, omega: Tensor) -> nn.Module:
    """A plain network at omega that no call has written on."""
    fresh.load_state_dict(fold(net, omega).state_dict())
    return fresh.eval()


@pytest.mark.parametrize("use", CACHES)
@torch.no_grad()
def test_a_cache_is_right_at_every_omega(use: Callable[[Cached], Tensor]) -> None:
    net = _tunable(Cached(use))
    right = [_by_hand(net, Cached(use), omega)(X) for omega in (A, B)]
    assert not torch.allclose(*right)
    for _ in range(2):
        for omega, wanted in zip((A, B), right, strict=True):
            view = net.at(omega)
            for found in (net(X, omega=omega), net(X, omega=omega), view(X), view(X), fold(net, omega)(X)):
                torch.testing.assert_close(found, wanted)
        found = net(X, omega=torch.stack([A, B]))
        torch.testing.assert_close(found, torch.stack([right[0][0], right[1][1]]))
    net.train()
    torch.testing.assert_close(net(X, omega=B), right[1])


@pytest.mark.parametrize("use", CACHES)
@torch.no_grad()
def test_threads_have_the_cache_of_their_omega(use: Callable[[Cached], Tensor]) -> None:
    net = _tunable(Cached(use))
    omegas = [torch.tensor([i / 4, 1 - i / 4]) for i in range(5)]
    right = [_by_hand(net, Cached(use), omega)(X) for omega in omegas]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda omega: net(X, omega=omega), omegas * 20))
    for number, output in enumerate(found):
        torch.testing.assert_close(output, right[number % 5])


@pytest.mark.filterwarnings("ignore:Graph break", "ignore:Dynamo", "ignore:The tensor attribute")
@pytest.mark.parametrize("use", [_dictionary, _attribute])
@pytest.mark.slow
@torch.no_grad()
def test_compiled_networks_are_right_or_refused(use: Callable[[Cached], Tensor]) -> None:
    net = _tunable(Cached(use))
    right = [_by_hand(net, Cached(use), omega)(X) for omega in (A, B)]
    torch.compiler.reset()
    compiled = torch.compile(net, backend="eager")
    for _ in range(2):
        for omega, wanted in zip((A, B), right, strict=True):
            torch.testing.assert_close(compiled(X, omega=omega), wanted)
    with pytest.raises(ConversionError, match="keeps tensors on self"):
        export_program(copy.deepcopy(net))
    exported = export_program(net, A).module()
    torch.testing.assert_close(exported(X), right[0])


@torch.no_grad()
def test_what_a_class_keeps_for_all_its_modules_is_left_alone() -> None:
    net = _tunable(Cached(_of_the_class))
    other = copy.deepcopy(net)
    right = [_by_hand(net, Cached(_dictionary), omega)(X) for omega in (A, B)]
    for omega, wanted in zip((A, B, A), (*right, right[0]), strict=True):
        for found in (net(X, omega=omega), net.at(omega)(X), other(X, omega=omega)):
            torch.testing.assert_close(found, wanted)
    assert not Cached.everyones


class Emptied(Cached):
    """What timm does: training drops what was cached for evaluation."""

    def train(self, mode: bool = True) -> "Emptied":
        super().train(mode)
        if mode:
            self.kept.clear()
        return self


@torch.no_grad()
def test_a_source_that_was_called_before_drops_its_cache_where_it_says_how() -> None:
    source = Emptied(_dictionary).eval()
    source(X)
    net = _tunable(source)
    torch.testing.assert_close(net(X, omega=B), _by_hand(net, Emptied(_dictionary), B)(X))
    assert source.kept


class Recurrent(nn.Module):
    """A video network: the last frame's result goes on to the next."""

    def __init__(self, *, child: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.memory = Memory() if child else None
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.memory is not None:
            x = self.memory(x)
        y: Tensor = self.conv(x if self.last is None else x + self.last).tanh()
        self.last = y if self.memory is None else None
        return y


class Memory(nn.Module):
    """A sum of all frames, without a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.frames.append(x)
        return sum(self.frames, torch.zeros(()))


def _frames(net: Callable[[Tensor], Tensor], count: int = 3) -> Tensor:
    return torch.stack([net(X * (1 + frame)) for frame in range(count)])


@pytest.mark.parametrize("child", [False, True])
@torch.no_grad()
def test_a_state_goes_on_at_its_omega_as_in_the_plain_network(child: bool) -> None:
    net = _tunable(Recurrent(child=child))
    right = [_frames(fold(net, omega)) for omega in (A, B)]
    assert torch.equal(_frames(lambda x: net(x, omega=A)), right[0])
    assert torch.equal(_frames(net.at(A)), right[0])
    net.forget()
    turns = [[net(X * (1 + frame), omega=omega) for omega in (A, B)] for frame in range(3)]
    for number in range(2):
        torch.testing.assert_close(torch.stack([turn[number] for turn in turns]), right[number])
    assert net.network.last is None
    whole = _frames(lambda x: net(x, omega=torch.stack([A, B])))
    torch.testing.assert_close(whole, torch.stack([right[0][:, 0], right[1][:, 1]], 1))


@torch.no_grad()
def test_few_omegas_in_a_batch_have_their_own_states() -> None:
    net = _tunable(nn.Sequential(Recurrent(), nn.GroupNorm(1, 3)), include=["*"])
    right = [_frames(fold(net, omega)) for omega in (A, B)]
    whole = _frames(lambda x: net(torch.cat([x, x]), omega=torch.stack([A, A, B, B])))
    torch.testing.assert_close(whole, torch.cat(right, 1))


@torch.no_grad()
def test_a_state_is_forgotten_when_asked_and_at_a_change_of_mode() -> None:
    net = _tunable(Recurrent())
    first = net(X, omega=A)
    assert not torch.equal(net(X, omega=A), first)
    for begin in (net.forget, net.train, net.eval, net.double, net.float):
        net(X, omega=A)
        begin()
        x = X.to(net.network.conv.weight.dtype)
        torch.testing.assert_close(net(x, omega=A).float(), first, atol=1e-4, rtol=1e-4)
    net(X, omega=A)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(other(X, omega=A), first)


@torch.no_grad()
def test_a_cache_is_not_that_of_weights_before_loading() -> None:
    net = nn.Sequential(_tunable(Cached(_dictionary)))
    net[0](X, omega=A)
    perturb(net)
    net.load_state_dict(net.state_dict())
    torch.testing.assert_close(net[0](X, omega=A), _by_hand(net[0], Cached(_dictionary), A)(X))


def test_gradients_go_through_a_state() -> None:
    net = _tunable(Recurrent())
    plain = fold(net, torch.zeros(2))
    _frames(lambda x: net(x, omega=torch.zeros(2))).sum().backward()
    _frames(plain).sum().backward()
    torch.testing.assert_close(net.network.conv.weight.grad, plain.conv.weight.grad)
    copy.deepcopy(net)  # what a call computed is not on it


def _dict_in_itself() -> Any:
    ring: dict[str, Any] = {"bias": []}
    ring["ring"] = ring
    return ring


def _list_in_a_tuple_in_itself() -> Any:
    ring: list[Any] = [[]]
    ring.append((ring, 1))
    return ring


class Ring(nn.Module):
    """Keeps a container that holds itself."""

    def __init__(self, ring: Any, place: Any, fills: bool) -> None:
        super().__init__()
        self.bias, self.ring, self.place, self.fills = nn.Parameter(torch.rand(3, 1, 1)), ring, place, fills

    def forward(self, x: Tensor) -> Tensor:
        kept = self.ring[self.place]
        if self.fills and not kept:
            kept.append(self.bias * 1)
        return x + (kept[0] if kept else self.bias)


@pytest.mark.parametrize("fills", [True, False])
@pytest.mark.parametrize(("make", "place"), [(_dict_in_itself, "bias"), (_list_in_a_tuple_in_itself, 0)])
@torch.no_grad()
def test_a_container_may_hold_itself(make: Callable[[], Any], place: Any, fills: bool) -> None:
    net = _tunable(Ring(make(), place, fills))
    for _ in range(2):
        for omega in (A, B):
            wanted = _by_hand(net, Ring(make(), place, fills), omega)(X)
            assert torch.equal(net(X, omega=omega), wanted)
    assert len(net._states._kept) == (2 if fills else 0)


def test_few_states_are_kept() -> None:
    net = _tunable(Recurrent())
    omegas = torch.rand(KEPT + 2, 2)
    with torch.no_grad():
        for omega in omegas:
            net(X, omega=omega)
        first, again = (net(X, omega=omega) for omega in (omegas[0], omegas[-1]))
        net.forget()
        assert torch.equal(net(X, omega=omegas[0]), first)
        assert not torch.equal(net(X, omega=omegas[-1]), again)
    net(X, omega=omegas[0])
    assert len(net._states._kept) == 1


def test_a_network_that_writes_nothing_keeps_nothing() -> None:
    net = _tunable(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Dropout(), Keeper({})))
    net.network[3].forward = lambda x: x
    net(X, omega=A)
    assert not net._states._kept


class Passing(nn.Module):
    """Two ways to one module: what goes in on the first comes out on the second."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.box = nn.Conv2d(3, 3, 1), nn.Module()
        self.boxes = [self.box]

    def forward(self, x: Tensor) -> Tensor:
        self.boxes[0].content = self.conv(x)
        content: Tensor = self.box.content
        return content


@torch.no_grad()
def test_a_module_that_is_reached_twice_is_one() -> None:
    net = _tunable(Passing())
    for omega in (A, B):
        torch.testing.assert_close(net(X, omega=omega), fold(net, omega)(X))


class Making(nn.Module):
    def __init__(self, made: Callable[[], Any]) -> None:
        super().__init__()
        self.conv, self.make = nn.Conv2d(3, 3, 1), made

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "made"):
            self.made = self.make()
        y: Tensor = self.conv(x)
        return y


@pytest.mark.parametrize("made", [lambda: nn.Linear(2, 2), lambda: nn.Parameter(torch.ones(2))])
def test_a_forward_that_makes_layers_is_refused(made: Callable[[], Any]) -> None:
    net = _tunable(Making(made))
    with pytest.raises(ConversionError, match="forward of Making makes made; call the network once before"):
        net(X, omega=A)
    source = Making(made)
    source(X)
    assert make_tunable(source, 2)(X, omega=A).shape == X.shape


class Folding(nn.Module):
    """The way of TinyViT: evaluation reads a tensor that eval() computed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bias = nn.Conv2d(3, 3, 1), nn.Parameter(torch.ones(1, 3, 1, 1))

    @torch.no_grad()
    def train(self, mode: bool = True) -> "Folding":
        super().train(mode)
        self.computed = None if mode else self.bias * 2
        return self

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x) + (self.bias * 2 if self.training else self.computed)
        return y


@pytest.mark.parametrize("mode", [False, True])
def test_what_eval_computes_of_a_tunable_tensor_is_refused(mode: bool) -> None:
    source = nn.Sequential(Folding()).train(mode)
    with pytest.raises(ConversionError, match=r"0 \(Folding\) tunable: it computes 'computed' in train\(\)"):
        make_tunable(source, 2)
    net = _tunable(source, exclude=["*.bias"])
    torch.testing.assert_close(net(X, omega=B), fold(net, B)(X))
