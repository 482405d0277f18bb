"""A wish of one worker that all must follow at the same step."""

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor


class Agreement:
    """Called once a step on every worker, gives the same answer on all of them.

    With several workers the answer is that of the step before: the question travels while the next step is
    computed, so nobody waits for it.

    Args:
        wish: what this worker wants.
        workers: how many there are.
        device: where the process group sends from.
    """

    def __init__(self, wish: Callable[[], bool], workers: int, device: torch.device) -> None:
        self._wish, self._workers, self._device = wish, workers, device
        self._asked: tuple[dist.Work, Tensor] | None = None

    def __call__(self) -> bool:
        """Whether any worker wished it."""
        if self._workers == 1:
            return self._wish()
        answer = self._answer()
        wished = torch.tensor(int(self._wish()), device=self._device)
        work = dist.all_reduce(wished, dist.ReduceOp.MAX, async_op=True)
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
