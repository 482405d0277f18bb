"""The source of a tunable network, which answers first: what it can't do by itself is not asked of us."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from benchmarks.networks.comparing import make_reference, measure_difference
from benchmarks.networks.subject import Subject

TOLERANCES = {torch.float64: 1e-8, torch.float32: 1e-3}
"""How far apart outputs may lie that differ in rounding alone, in parts of the largest value."""


class NotRunError(Exception):
    """A network that by itself can't be asked this; the message says why."""


@contextmanager
def told(what: str) -> Iterator[None]:
    """Say of whatever is raised inside that it is the plain network's."""
    try:
        yield
    except Exception as error:
        raise NotRunError(f"{what}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """The type of an error, and how its message begins."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"


class Plain:
    """A source that runs, in evaluation mode. It is never called itself, only copies are.

    Attributes:
        subject: what it is.
        call: gives the tensors of an output.
        source: with the weights it was made with.
        dtype: float64 where the network can, so that rounding hides nothing.
        tolerance: of differences between outputs.
        x, pair: inputs of one and of two samples.
        random: whether its outputs differ between seeds, even in evaluation mode.

    Raises:
        NotRunError: it can't be made, or can't run.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject, self.call = subject, subject.call
        torch.manual_seed(0)
        with told("cannot be made"):
            self.source = subject.make().eval()
        self.parameters = sum(parameter.numel() for parameter in self.source.parameters())
        for self.dtype, self.tolerance in TOLERANCES.items():
            try:
                self.source.to(self.dtype)
                self._prepare()
                return
            except NotRunError:
                if self.dtype is torch.float32:
                    raise

    def _prepare(self) -> None:
        self.x, self.pair = (self.subject.inputs(batch, self.dtype) for batch in (1, 2))
        with told("does not run"), torch.no_grad():
            output, again = (self.call(copy.deepcopy(self.source), self.x, seed) for seed in (0, 1))
        if not output or not all(tensor.isfinite().all() for tensor in output):
            raise NotRunError("does not run: its output is empty or not finite")
        self.random = measure_difference(again, output) > 0

    def at(self, state: Mapping[str, Tensor], omega: Tensor) -> nn.Module:
        """The reference at omega (P,): see :func:`make_reference`."""
        return make_reference(self.source, state, omega)

    def run(
        self,
        state: Mapping[str, Tensor],
        omega: Tensor,
        inputs: Sequence[Tensor],
        calls: int = 1,
        why: str = "fails at other weights",
    ) -> list[list[Tensor]]:
        """What the reference gives at omega in the first call, the second and so on; why it may fail.

        Raises:
            NotRunError: it fails there, or its output is not finite.
        """
        plain = self.at(state, omega)
        with told(why), torch.no_grad():
            outputs = [self.call(plain, inputs) for _ in range(calls)]
        if not all(tensor.isfinite().all() for output in outputs for tensor in output):
            raise NotRunError("is not finite at other weights")
        return outputs
