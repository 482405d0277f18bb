"""What the command prints: results on standard output, the rest on standard error."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence

from pipelines.apply.inputs import Inputs
from pipelines.apply.outcome import Outcome
from pipelines.apply.outputs import Guard
from pipelines.apply.plan import Task
from pipelines.apply.work import Options, Work
from pipelines.core.progress import Display, tell
from zoo import Predictor


class Report:
    """Tells of every picture, and counts them.

    Args:
        json: a line of JSON for each, instead of words.
        stdout_is_taken: a picture goes there, so that lines go to standard error.
    """

    def __init__(self, *, json: bool, stdout_is_taken: bool) -> None:
        self._json, self._taken = json, stdout_is_taken
        self._counts: Counter[str] = Counter()

    def begin(self, inputs: Inputs) -> None:
        """Say what of the inputs' folders is left out."""
        if inputs.passed_over:
            kinds = ", ".join(f"{suffix} {count}" for suffix, count in inputs.passed_over.most_common(5))
            _say(f"left out what is no picture we read: {inputs.passed_over.total()} in all ({kinds})")

    def note(self, task: Task) -> None:
        """Say what a format will make of a picture."""
        if task.note:
            _say(f"{task.job.source.name}: {task.note}")

    def tell(self, outcome: Outcome, model: str = "", say: Callable[[str], None] | None = None) -> None:
        """Print how a picture ended.

        Args:
            outcome: of one picture.
            model: what made it.
            say: prints on standard error.
        """
        self._counts[outcome.status] += 1
        # Looked up each time: while a bar stands, these are what keeps it whole.
        out = sys.stderr if self._taken else sys.stdout
        if self._json:
            tell(outcome.json(), out)
        elif outcome.size is None:
            (say or _say)(outcome.sentence())
        else:
            values = ", ".join(f"{name}={value:.4g}" for name, value in outcome.values.items())
            width, height = outcome.size
            tell(f"{outcome.job.output}  {width}x{height}  {model.format(values=values)}", out)

    def work(self, model: Predictor, tasks: Sequence[Task], guard: Guard, options: Options) -> None:
        """Do the tasks, with progress on standard error."""
        half = "" if model.precision == "float32" else f" {model.precision}"
        about = f"{model.name}@{model.version}  {{values}}  engine {model.engine}{half}"
        with Display(
            "apply", total=len(tasks), unit="picture", rated="megapixels", stream=sys.stderr
        ) as display:
            for outcome in Work(model, guard, options, display).outcomes(tasks):
                self.tell(outcome, about, display.say)

    def end(self) -> int:
        """Say how many there were of each, and give the exit code."""
        counts = [f"{self._counts[status]} {status}" for status in ("written", "skipped", "failed")]
        if self._counts.total() > 1:
            _say(", ".join(count for count in counts if not count.startswith("0 ")))
        return 1 if self._counts["failed"] else 0


def _say(line: str) -> None:
    tell(line, sys.stderr)
