"""Outcome of one picture, as a sentence or as a line of JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pipelines.apply.outputs import Job


@dataclass(frozen=True)
class Outcome:
    """A picture that was written or skipped, or that failed.

    Attributes:
        job: its source and target.
        values: of the sliders in native units; of all sliders for a result, else of those that were set.
        megapixels: of the input; None where its header was not read.
        seconds: to read, restore and write it, without waiting for other pictures.
        size: width and height of the result.
        note: what its format cannot hold.
        skipped: why it was skipped.
        error: why it failed.
    """

    job: Job
    values: dict[str, float]
    megapixels: float | None = None
    seconds: float | None = None
    size: tuple[int, int] | None = None
    note: str | None = None
    skipped: str | None = None
    error: str | None = None

    def json(self) -> str:
        """A line of JSON."""
        source = self.job.source
        return json.dumps(
            {
                "input": "-" if source.path is None else str(source.path),
                "output": "-" if self.job.target is None else str(self.job.target),
                "status": self.status,
                "seconds": None if self.seconds is None else round(self.seconds, 3),
                "megapixels": self.megapixels,
                # Omega is float32, in which 0.7 is 0.699999988.
                "settings": {name: float(f"{value:.6g}") for name, value in self.values.items()},
                "note": self.note or self.skipped,
                "error": self.error,
            },
            ensure_ascii=False,
        )

    @property
    def status(self) -> str:
        """``written``, ``skipped`` or ``failed``."""
        return "failed" if self.error else "skipped" if self.skipped else "written"

    def sentence(self) -> str:
        """Why there is no result, as a sentence."""
        if self.skipped:
            return f"skipped {self.job.output}: {self.skipped}; --overwrite makes it again"
        name, error = self.job.source.name, " ".join(str(self.error).split())
        return f"failed {name}: {error.removeprefix(f'cannot read {name}: ')}"
