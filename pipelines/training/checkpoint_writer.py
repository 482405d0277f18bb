"""Writing checkpoints beside training: a copy in memory, and a thread that brings it to the disk."""

from collections import OrderedDict
from collections.abc import Mapping
from threading import Thread
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from pipelines.training.checkpoint import CheckpointStore


class CheckpointWriter:
    """Writes into a store in a thread, one checkpoint at a time.

    Training waits for the copy in memory alone, which takes as much of it as the checkpoint, and for the
    checkpoint before this one if that is not written yet. Leaving the block waits for the last one, unless
    the process is to end at once: a checkpoint that is cut short counts as absent.
    """

    def __init__(self, store: CheckpointStore) -> None:
        self._store = store
        self._thread: Thread | None = None
        self._fault: Exception | None = None
        self._copy: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._thread is not None and (kind is None or issubclass(kind, Exception)):
            self._thread.join()

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Begin to write the state of ``step``, which may change from now on.

        Raises:
            TrainingError: the checkpoint before this one could not be written.
        """
        self.wait()
        self._copy = _copy_values(state, self._copy)
        self._thread = Thread(target=self._write, args=(step, self._copy), name="checkpoint", daemon=True)
        self._thread.start()

    def _write(self, step: int, state: dict[str, Any]) -> None:
        try:
            self._store.save(step, state)
        except Exception as error:  # raised in the thread that trains
            self._fault = error

    def check(self) -> None:
        """Raise the error of a checkpoint that could not be written; does not wait."""
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault

    def wait(self) -> None:
        """Wait until all is written.

        Raises:
            TrainingError: a checkpoint could not be written.
        """
        if self._thread is not None:
            self._thread.join()
        self.check()


def _copy_values(value: Any, into: Any) -> Any:
    """A copy of nested values with tensors on the CPU, in the memory of an earlier copy where it fits."""
    if isinstance(value, Tensor):
        return _copy_tensor(value, into)
    if isinstance(value, Mapping):
        old = into if isinstance(into, dict) else {}
        copy = OrderedDict((key, _copy_values(item, old.get(key))) for key, item in value.items())
        if not isinstance(value, OrderedDict):
            return dict(copy)
        vars(copy).update(vars(value))  # the versions of modules, in a state_dict
        return copy
    if isinstance(value, list | tuple):
        return type(value)(_copy_values(item, None) for item in value)
    return value


def _copy_tensor(value: Tensor, into: Any) -> Tensor:
    value = value.detach()
    fits = isinstance(into, Tensor) and (into.shape, into.dtype, into.stride()) == (
        value.shape,
        value.dtype,
        value.stride(),
    )
    copy: Tensor = into if fits else torch.empty_like(value, device="cpu")
    return copy.copy_(value)
