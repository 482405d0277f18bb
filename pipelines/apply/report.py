"""Print the outcomes of a command: results on standard output, the rest on standard error."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence

from pipelines.apply.inputs import Inputs
from pipelines.apply.outcome import Outcome
from pipelines.apply.outputs import OverwriteGuard
from pipelines.apply.plan import Task
from pipelines.apply.restorer import Restorer, WriteOptions
from pipelines.core.progress import Display, tell
from zoo import Predictor


class Report:
    """Prints and counts the outcomes of pictures.

    Args:
        json: print a line of JSON for each, instead of a sentence.
        stdout_is_taken: a picture is written there, so lines go to standard error.
    """

    def __init__(self, *, json: bool, stdout_is_taken: bool) -> None:
        self._json, self._taken = json, stdout_is_taken
        self._counts: Counter[str] = Counter()

    def report_ignored(self, inputs: Inputs) -> None:
        """Print how many files of folders are ignored."""
        if inputs.ignored:
            kinds = ", ".join(f"{suffix} {count}" for suffix, count in inputs.ignored.most_common(5))
            _print_status(f"ignored files of unsupported formats: {inputs.ignored.total()} ({kinds})")

    def report_note(self, task: Task) -> None:
        """Print what the format of a result cannot hold."""
        if task.note:
            _print_status(f"{task.job.source.name}: {task.note}")

    def report(self, outcome: Outcome, model: str = "", say: Callable[[str], None] | None = None) -> None:
        """Print and count an outcome; ``model`` describes the model, with a placeholder for values."""
        self._counts[outcome.status] += 1
        # Looked up each time: a progress bar replaces these while it is shown.
        out = sys.stderr if self._taken else sys.stdout
        if self._json:
            tell(outcome.json(), out)
        elif outcome.size is None:
            (say or _print_status)(outcome.sentence())
        else:
            values = ", ".join(f"{name}={value:.4g}" for name, value in outcome.values.items())
            width, height = outcome.size
            tell(f"{outcome.job.output}  {width}x{height}  {model.format(values=values)}", out)

    def run_tasks(
        self, model: Predictor, tasks: Sequence[Task], guard: OverwriteGuard, options: WriteOptions
    ) -> None:
        """Restore the pictures, with progress on standard error."""
        half = "" if model.precision == "float32" else f" {model.precision}"
        about = f"{model.name}@{model.version}  {{values}}  engine {model.engine}{half}"
        with Display(
            "apply", total=len(tasks), unit="picture", rated="megapixels", stream=sys.stderr
        ) as display:
            for outcome in Restorer(model, guard, options, display).run(tasks):
                self.report(outcome, about, display.say)

    def finish(self) -> int:
        """Print how many outcomes there were of each kind; returns the exit code."""
        counts = [f"{self._counts[status]} {status}" for status in ("written", "skipped", "failed")]
        if self._counts.total() > 1:
            _print_status(", ".join(count for count in counts if not count.startswith("0 ")))
        return 1 if self._counts["failed"] else 0


def _print_status(line: str) -> None:
    tell(line, sys.stderr)
