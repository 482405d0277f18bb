"""What is asked of each network, and the answers."""

import copy
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.networks.comparing import DELTAS, draw_deltas, measure_difference
from benchmarks.networks.plain import TOLERANCES, NotRunError, Plain, first_line, told
from tunable_models import TunableNetwork, fold, make_tunable
from tunable_models.errors import ConversionError, TunableError
from tunable_models.export import IMAGE, OMEGA, to_onnx

RIGHT, REFUSED, WRONG, ERROR, NOT_RUN = "right", "refused", "WRONG", "error", "not run"

A, B, OTHER, ZERO = (torch.tensor(values) for values in ([0.75, 0.25], [0.125, 1.0], [0.5, 0.5], [0.0, 0.0]))
"""Settings of two controls on a box, exact in binary."""


@dataclass(frozen=True)
class Answer:
    """The outcome of one check, and what there is to say of it."""

    outcome: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.outcome}: {self.detail}" if self.detail else self.outcome


class WrongError(Exception):
    """An answer that is not the reference's; the message says how far apart they are."""


def ask(check: Callable[[], str]) -> Answer:
    """What comes of a check, which gives a remark or raises."""
    try:
        return Answer(RIGHT, check())
    except NotRunError as error:
        return Answer(NOT_RUN, str(error))
    except WrongError as error:
        return Answer(WRONG, str(error))
    except TunableError as error:
        return Answer(REFUSED, str(error))
    except Exception as error:
        return Answer(ERROR, first_line(error))


class Trial:
    """A network made tunable, beside the reference.

    Args:
        plain: the source.
        norms: whether the affine of norms is tunable too.

    Raises:
        TunableError: the source is refused.
    """

    def __init__(self, plain: Plain, *, norms: bool) -> None:
        self.plain = plain
        self.net = make_tunable(plain.source, 2, include=("*",) if norms else None).eval()
        draw_deltas(self.net, seed=7)
        self.state = {name: tensor.clone() for name, tensor in self.net.state_dict().items()}

    def wanted(self, omega: Tensor, inputs: Sequence[Tensor] | None = None) -> list[list[Tensor]]:
        """The reference's outputs in two calls."""
        return self.plain.run(self.state, omega, self.plain.x if inputs is None else inputs, calls=2)

    def found(self, omega: Tensor, inputs: Sequence[Tensor] | None = None) -> list[Tensor]:
        """The tunable network's output."""
        inputs = self.plain.x if inputs is None else inputs
        return self.plain.call(self.net, inputs, omega=omega)

    def compare(self, found: Sequence[Tensor], wanted: Sequence[Tensor], where: str = "") -> None:
        """Raise a :class:`WrongError` where outputs lie further apart than rounding puts them."""
        difference = measure_difference(found, wanted)
        if difference > self.plain.tolerance:
            raise WrongError(f"{difference:.1e}{where and f' {where}'}")

    @torch.no_grad()
    def check_start(self) -> str:
        """At omega = 0 the network is the source."""
        self.compare(self.found(ZERO), self.wanted(ZERO)[0])
        return ""

    @torch.no_grad()
    def check_calls(self) -> str:
        """At other omegas it is the reference, in the first call and the next, whatever came between."""
        at_a, at_b = self.wanted(A), self.wanted(B)
        moved = measure_difference(at_a[0], at_b[0])
        if moved < 100 * self.plain.tolerance:
            raise NotRunError(f"its output hardly depends on its weights ({moved:.1e})")
        self.found(OTHER)
        order = [(B, at_b[0]), (A, at_a[0]), (A, at_a[1]), (B, at_b[1])]
        for number, (omega, wanted) in enumerate(order, start=1):
            self.compare(self.found(omega), wanted, f"in call {number}")
        return ""

    @torch.no_grad()
    def check_view(self) -> str:
        """A view is the reference."""
        view = self.net.at(A)
        for number, wanted in enumerate(self.wanted(A), start=1):
            self.compare(self.plain.call(view, self.plain.x), wanted, f"in call {number}")
        return ""

    @torch.no_grad()
    def check_fold(self) -> str:
        """A folded network is the reference."""
        plain = fold(self.net, A)
        for number, wanted in enumerate(self.wanted(A), start=1):
            self.compare(self.plain.call(plain, self.plain.x), wanted, f"in call {number}")
        return ""

    @torch.no_grad()
    def check_samples(self) -> str:
        """Two samples at two omegas are what the reference makes of each alone."""
        if self.plain.random:
            raise NotRunError("its output is random")
        alone = [
            self.wanted(omega, [tensor[b : b + 1] for tensor in self.plain.pair])[0]
            for b, omega in enumerate((A, B))
        ]
        whole = self.plain.run(self.state, A, self.plain.pair, why="takes no batch of two")[0]
        beside = whole[: len(alone[0])] if self.plain.subject.listed else [tensor[:1] for tensor in whole]
        if measure_difference(beside, alone[0]) > self.plain.tolerance:
            raise NotRunError("a sample's output depends on the rest of the batch")
        wanted = self.plain.subject.join(alone)
        for number in (1, 2):
            self.net.forget()
            self.compare(self.found(torch.stack([A, B]), self.plain.pair), wanted, f"in call {number}")
        return ""

    def check_gradients(self) -> str:
        """The gradients of base, deltas and omega are those of the reference, by the chain rule."""
        reference = self.plain.at(self.state, A)
        with told("has no gradient"):
            parameters = dict(reference.named_parameters())
            for parameter in parameters.values():
                parameter.requires_grad_()
            torch.autograd.backward(_loss(self.plain.call(reference, self.plain.x)))
        gradients = {name: p.grad for name, p in parameters.items() if p.grad is not None}
        omega = A.clone().requires_grad_()
        self.net.requires_grad_().zero_grad()
        self.net.forget()
        torch.autograd.backward(_loss(self.found(omega)))
        wrong = self._wrong_gradients(gradients, omega)
        self.net.zero_grad()
        self.net.forget()
        if wrong:
            raise WrongError(f"{len(wrong)} of {len(gradients)} gradients: {', '.join(wrong[:3])}")
        unused = [name for name in parameters if name not in gradients]
        return f"the plain network does not use {', '.join(unused[:3])}" if unused else ""

    def _wrong_gradients(self, gradients: dict[str, Tensor], omega: Tensor) -> list[str]:
        largest = max((_largest(gradient) for gradient in gradients.values()), default=0.0)
        tolerance = 10 * self.plain.tolerance
        own = dict(self.net.named_parameters())
        of_omega = torch.zeros(2, dtype=torch.float64)
        wrong = []
        for name, wanted in gradients.items():
            # What is zero but for rounding is compared with what is not.
            near = tolerance * max(_largest(wanted), 1e-6 * largest)
            pairs = [(own[f"network.{name}"], wanted)]
            deltas = own.get(f"network.{name}{DELTAS}")
            if deltas is not None:
                pairs.append((deltas, torch.stack([value * wanted for value in A.tolist()])))
                of_omega += (deltas.detach() * wanted).flatten(1).sum(1).double()
            for parameter, expected in pairs:
                found = parameter.grad
                if found is None or not _largest(found - expected) <= near:
                    wrong.append(f"{name} {'has none' if found is None else 'differs'}")
                    break
        if omega.grad is None or not torch.allclose(omega.grad.double(), of_omega, rtol=1e-3):
            wrong.append("omega")
        return wrong

    @torch.no_grad()
    def check_threads(self) -> str:
        """Two threads at different omegas have results of their own."""
        wanted = [self.wanted(omega) for omega in (A, B)]
        if self.plain.random or any(measure_difference(*outputs) > 0 for outputs in wanted):
            raise NotRunError("its output is random, or differs from call to call")

        def run(which: int) -> list[Tensor]:
            return self.found((A, B)[which])

        with ThreadPoolExecutor(2) as pool:
            for number, output in enumerate(pool.map(run, [0, 1] * 3)):
                self.compare(output, wanted[number % 2][0])
        return ""

    def check_export(self) -> str:
        """The ONNX model with its sliders as an input gives the reference's output."""
        import onnxruntime

        subject = self.plain.subject
        if len(subject.shapes) != 1 or len(subject.shapes[0]) != 3 or subject.options or subject.listed:
            raise NotRunError("it is not called with one picture alone")
        (wanted,) = self.wanted(A)[:1]
        model, multiple = _export(copy.deepcopy(self.net).float(), self.plain.x[0])
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        inputs = {IMAGE: self.plain.x[0].float().numpy(), OMEGA: A.numpy()}
        difference = measure_difference([torch.from_numpy(session.run(None, inputs)[0])], wanted[:1])
        if difference > TOLERANCES[torch.float32]:
            raise WrongError(f"{difference:.1e}")
        return f"multiple={multiple}" if multiple > 1 else ""


def _export(net: TunableNetwork, picture: Tensor) -> tuple[Any, int]:
    """The ONNX model, and the multiple of the sides that it says it needs."""
    sizes: dict[str, Any] = {"channels": picture.shape[1], "size_px": tuple(picture.shape[2:])}
    try:
        return to_onnx(net, **sizes).model_proto, 1
    except ConversionError as error:
        needed = re.search(r"say multiple=(\d+)", str(error))
        if needed is None:
            raise
        multiple = int(needed[1])
        return to_onnx(net, **sizes, multiple=multiple).model_proto, multiple


def _largest(tensor: Tensor) -> float:
    return tensor.abs().max().item() if tensor.numel() else 0.0


def _loss(output: Sequence[Tensor]) -> Tensor:
    """A sum in which no two values count alike."""
    generator = torch.Generator().manual_seed(5)
    parts = [
        (tensor * torch.randn(tensor.shape, generator=generator).to(tensor.dtype)).sum()
        for tensor in output
        if tensor.requires_grad
    ]
    if not parts:
        raise ValueError("no output depends on a parameter")
    return torch.stack([part.real for part in parts]).sum()


CHECKS: dict[str, Callable[[Trial], str]] = {
    "omega = 0": Trial.check_start,
    "calls": Trial.check_calls,
    "view": Trial.check_view,
    "fold": Trial.check_fold,
    "samples": Trial.check_samples,
    "gradients": Trial.check_gradients,
    "threads": Trial.check_threads,
    "export": Trial.check_export,
}
"""The questions by name, in their order."""
