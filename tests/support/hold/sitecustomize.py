"""Hold a training process at a step, so that a signal or a kill meets it there however fast it is.

Python imports this module at start-up where its folder is on PYTHONPATH (see ``stages.start``): also in Ray's
processes and torchrun's, which tests cannot reach otherwise. A process whose environment names a number of
steps in HOLD_AFTER_STEPS computes so many of a run, then waits until it is asked to stop or is killed; the
first HOLD_NOT runs, which leave their marks in the folder HOLD_MARKS, do not wait.
"""

import importlib.util
import os
import sys
import time
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

MODULE = "pipelines.training.collectives"


class HoldFinder(MetaPathFinder):
    """Patches ``StopConsensus``, which every worker calls once a step, as its module is imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own spec with a loader that patches; None for any other module."""
        if fullname != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        assert spec is not None
        loader: Any = spec.loader
        execute = loader.exec_module

        def execute_and_patch(module: ModuleType) -> None:
            execute(module)
            hold(module.StopConsensus, int(os.environ["HOLD_AFTER_STEPS"]), int(os.environ["HOLD_NOT"]))

        loader.exec_module = execute_and_patch
        return spec


def hold(consensus: Any, after_steps: int, exempt: int) -> None:
    """Make a worker wait in its ``after_steps``-th call, until it is asked to stop."""
    create, call = consensus.__init__, consensus.__call__

    def create_and_mark(self: Any, *arguments: Any) -> None:
        create(self, *arguments)
        marks = Path(os.environ["HOLD_MARKS"])
        (marks / f"{os.getpid()}-{time.monotonic_ns()}").touch()
        self.calls, self.held = 0, len(list(marks.iterdir())) > exempt

    def call_or_wait(self: Any) -> bool:
        self.calls += 1
        while self.held and self.calls >= after_steps and not self._requested():
            time.sleep(0.02)
        answer: bool = call(self)
        return answer

    consensus.__init__, consensus.__call__ = create_and_mark, call_or_wait


if "HOLD_AFTER_STEPS" in os.environ:
    sys.meta_path.insert(0, HoldFinder())
