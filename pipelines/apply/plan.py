"""What is to be done, and all that can be known to fail, before a network is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from pipelines.apply.outcome import Outcome
from pipelines.apply.outputs import Job
from pipelines.apply.settings import Settings
from zoo import ImageError
from zoo.pictures.images import read_header


@dataclass(frozen=True)
class Task:
    """A picture that will be restored.

    Attributes:
        job: from where to where.
        values: of the sliders that are set.
        pixels: of the input.
        note: what its format makes of it, if it does not hold it as it is.
        page: the one that is restored, from 0; None for all.
    """

    job: Job
    values: dict[str, float]
    pixels: int
    note: str | None
    page: int | None = None

    def outcome(self, **changes: Any) -> Outcome:
        """How it ended: fields of an outcome that the task does not know."""
        return replace(Outcome(self.job, self.values, self.pixels / 1e6, note=self.note), **changes)


@dataclass(frozen=True)
class Limits:
    """What pictures may be.

    Attributes:
        max_pixels: of an input.
        scale: the result's sides over the input's.
    """

    max_pixels: int
    scale: int = 1


def plan(
    jobs: Sequence[Job],
    settings: Settings,
    limits: Limits,
    *,
    overwrite: bool = False,
    page: int | None = None,
) -> Iterator[Task | Outcome]:
    """What becomes of each job: a task, or why there is none; from the headers of the pictures.

    Args:
        jobs: one for each picture.
        settings: checked against the model's sliders.
        limits: of the model, or of the command.
        overwrite: whether results that exist are made again.
        page: the one to restore, from 0; all by default.
    """
    for job in jobs:
        values = settings.of(job.source.relative.as_posix())
        if job.target is not None and job.target.exists() and not overwrite:
            yield Outcome(job, values, skipped="it exists")
            continue
        try:
            yield _task(job, values, limits, page)
        except ImageError as error:
            yield Outcome(job, values, error=str(error))


@contextmanager
def own_limit_alone() -> Iterator[None]:
    """Leave it to our own limit how large pictures may be: Pillow's is one for the whole process."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _task(job: Job, values: dict[str, float], limits: Limits, page: int | None) -> Task:
    if job.source.fault:
        raise ImageError(job.source.fault)
    if job.source.path is not None and not job.source.path.exists():
        raise ImageError("expected a picture, found no such file")
    header = read_header(job.source.content, page)
    width, height = header.size
    pixels = header.pixels
    if pixels > limits.max_pixels:
        got = f"{header.count}, together" if header.pages > 1 else f"{width} x {height} ="
        raise ImageError(
            f"expected at most {limits.max_pixels:,} pixels, got {got} {pixels:,}; "
            f"say --max-pixels {pixels} if there is memory for it, or make the picture smaller"
        )
    try:
        note = job.form.fit_pages(replace(header, size=(limits.scale * width, limits.scale * height)))
    except ImageError as error:
        one = "; or say --page 1 for one of them" if header.pages > 1 else ""
        raise ImageError(f"{error}{one}") from error
    return Task(job, values, pixels, note, page)
