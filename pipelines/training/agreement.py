"""A wish of one worker that all must follow at the same step."""

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor


class Agreement:
    """Called once a step on every worker, gives the same answer on all of them.

    With several workers the answer is that of the step before: the question travels while the next step is
    computed, so nobody waits for it. It travels between CPUs: a GPU would have to end its work to answer.

    Args:
        wish: what this worker wants.
        workers: how many there are.
        device: of the network.
    """

    def __init__(self, wish: Callable[[], bool], workers: int, device: torch.device) -> None:
        self._wish, self._workers = wish, workers
        apart = workers > 1 and device.type != "cpu"
        self._group: dist.ProcessGroup | None = dist.new_group(backend="gloo") if apart else None  # type: ignore[assignment]
        self._asked: tuple[dist.Work, Tensor] | None = None

    def __call__(self) -> bool:
        """Whether any worker wished it."""
        if self._workers == 1:
            return self._wish()
        answer = self._answer()
        wished = torch.tensor(int(self._wish()))
        work = dist.all_reduce(wished, dist.ReduceOp.MAX, group=self._group, async_op=True)
        self._asked = None if work is None else (work, wished)
        return answer

    def _answer(self) -> bool:
        if self._asked is None:
            return False
        work, wished = self._asked
        work.wait()
        return bool(wished)

    def close(self) -> None:
        """Wait for the last question, which nobody needs any more."""
        self._answer()
        self._asked = None
