"""What is timed: the plain network, ours at one omega, several and one a sample, and the published layer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.cost.timing import Call
from benchmarks.published_layer import PublishedNetwork
from tunable_models import ControlSpace, TunableNetwork, build, fold, make_tunable

SPACE = ControlSpace.box("first", "second")
STREAM = 64
"""Omegas drawn ahead; every call takes the next."""

MAX_BATCH = 64
GROUPS = 4
MAX_LOW_RANK_RATIO = 1.15
PLAIN = "plain"


@dataclass(frozen=True)
class Subject:
    """A network to measure: an architecture and its options.

    Attributes:
        name: of the architecture.
        options: of :func:`tunable_models.build`.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def build(self) -> nn.Module:
        """The plain network, the same at every call."""
        torch.manual_seed(0)
        return build(self.name, **self.options)


@dataclass(frozen=True)
class Task:
    """What is done with it: ``inference`` or ``training`` at a batch of squares."""

    kind: str
    batch: int
    size_px: int

    def __str__(self) -> str:
        return f"{self.kind} {self.batch}x{self.size_px}x{self.size_px}"


DEFAULT_TASKS = (Task("inference", 1, 256), Task("inference", 16, 64), Task("training", 16, 64))


class Variants:
    """The networks of one subject, made when first needed, and the calls that use them.

    Args:
        subject: what to measure.
        device: where.
    """

    def __init__(self, subject: Subject, device: torch.device) -> None:
        self.subject = subject
        self.device = device
        generator = torch.Generator().manual_seed(1)
        self._stream = torch.rand(STREAM, MAX_BATCH, len(SPACE), generator=generator).to(device)
        self._optimizers: dict[nn.Module, torch.optim.Optimizer] = {}

    @cached_property
    def plain(self) -> nn.Module:
        """The network itself."""
        return self.subject.build().to(self.device)

    @cached_property
    def tunable(self) -> TunableNetwork:
        """Basis delta at full rank, deltas that are not zero."""
        return self._tunable(None)

    @cached_property
    def low_rank(self) -> TunableNetwork:
        """The highest rank whose parameters stay within the limit, and 1 where none does."""
        return self._tunable(self.rank)

    @cached_property
    def published(self) -> PublishedNetwork:
        """The published layer in every place."""
        return PublishedNetwork(self.plain, len(SPACE)).to(self.device)

    @cached_property
    def rank(self) -> int:
        """Rank of :attr:`low_rank`."""
        with torch.device("meta"):  # shapes are enough
            source = self.subject.build()
            limit, rank = MAX_LOW_RANK_RATIO * count(source), 1
            while count(make_tunable(source, SPACE, rank=rank + 1)) <= limit:
                rank += 1
        return rank

    def names(self, task: Task) -> list[str]:
        """The variants of a task, the plain network first."""
        return list(self._table(task))

    def call(self, task: Task, name: str) -> Call:
        """One variant as a function of the call's number; only its own networks are made."""
        make, omegas = self._table(task)[name]
        network = make()
        images = torch.rand(task.batch, 3, task.size_px, task.size_px, device=self.device)
        run = self._training(network, images) if task.kind == "training" else _inference(network, images)
        return lambda number: run(omegas(self._stream[number % STREAM], task.batch))

    def _table(self, task: Task) -> dict[str, tuple[Callable[[], nn.Module], Callable[..., Tensor | None]]]:
        """How to make each variant's network, and its omega from (MAX_BATCH, P) random numbers."""
        table: dict[str, tuple[Callable[[], nn.Module], Callable[..., Tensor | None]]] = {
            PLAIN: (lambda: self.plain, _none),
            "one omega": (lambda: self.tunable, _one),
            "one omega, low rank": (lambda: self.low_rank, _one),
            "published layer, per sample": (lambda: self.published, _simplex),
        }
        if task.kind == "inference":
            table["folded"] = (lambda: fold(self.tunable, first=0.3, second=0.6), _none)
        if task.batch > 1:
            table["per sample"] = (lambda: self.tunable, _rows)
        if task.batch > 1 and task.kind == "inference":
            table["per sample, low rank"] = (lambda: self.low_rank, _rows)
        if task.batch > GROUPS:
            table[f"{GROUPS} groups"] = (lambda: self.tunable, _groups)
        return {name: table[name] for name in ORDER if name in table}

    def _tunable(self, rank: int | None) -> TunableNetwork:
        network = make_tunable(self.subject.build(), SPACE, rank=rank)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if "_deltas" in name:
                    parameter.normal_(0, 1e-3)
        return network.to(self.device)

    def _training(self, network: nn.Module, images: Tensor) -> Callable[[Tensor | None], object]:
        network.train()
        if network not in self._optimizers:
            self._optimizers[network] = torch.optim.Adam(network.parameters(), lr=1e-6, fused=True)
        optimizer = self._optimizers[network]

        def step(omega: Tensor | None) -> None:
            optimizer.zero_grad()
            output = _forward(network, images, omega)
            F.l1_loss(output, torch.zeros_like(output)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        return step


ORDER = (
    PLAIN,
    "folded",
    "one omega",
    "one omega, low rank",
    f"{GROUPS} groups",
    "per sample",
    "per sample, low rank",
    "published layer, per sample",
)


def count(network: nn.Module) -> int:
    """Parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def _inference(network: nn.Module, images: Tensor) -> Callable[[Tensor | None], object]:
    network.eval()

    def run(omega: Tensor | None) -> Tensor:
        with torch.no_grad():
            return _forward(network, images, omega)

    return run


def _forward(network: nn.Module, images: Tensor, omega: Tensor | None) -> Tensor:
    output: Tensor = network(images) if omega is None else network(images, omega=omega)
    return output


def _none(_: Tensor, batch: int) -> None:
    return None


def _one(draw: Tensor, batch: int) -> Tensor:
    return draw[0]


def _rows(draw: Tensor, batch: int) -> Tensor:
    return draw[:batch]


def _groups(draw: Tensor, batch: int) -> Tensor:
    return draw[torch.arange(batch, device=draw.device) * GROUPS // batch]


def _simplex(draw: Tensor, batch: int) -> Tensor:
    return draw[:batch] / draw[:batch].sum(1, keepdim=True)
