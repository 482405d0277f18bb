"""How a picture ended: a line for people, or JSON for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pipelines.apply.outputs import Job


@dataclass(frozen=True)
class Outcome:
    """One picture, written, skipped or failed.

    Attributes:
        job: from where to where.
        values: in native units: of all sliders behind a result, otherwise of those that were set.
        megapixels: of the input; None where its header was not read.
        seconds: to read, restore and write it, waiting for other pictures excepted.
        size: width and height of the result.
        note: what its format made of it.
        skipped: why nothing was to be done.
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
        """One line for programs."""
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
        """Why there is no result."""
        if self.skipped:
            return f"skipped {self.job.output}: {self.skipped}; --overwrite makes it again"
        name, error = self.job.source.name, " ".join(str(self.error).split())
        return f"failed {name}: {error.removeprefix(f'cannot read {name}: ')}"
