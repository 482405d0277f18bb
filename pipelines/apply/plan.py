"""Plan the work from the headers of the pictures: tasks, and failures known before a network is loaded."""

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
        job: its source and target.
        values: of the sliders that are set.
        pixels: of the input.
        note: what its format cannot hold.
        page: index of the page to restore; None for all.
    """

    job: Job
    values: dict[str, float]
    pixels: int
    note: str | None
    page: int | None = None

    def outcome(self, **changes: Any) -> Outcome:
        """The outcome of this task, with further fields of :class:`Outcome`."""
        return replace(Outcome(self.job, self.values, self.pixels / 1e6, note=self.note), **changes)


@dataclass(frozen=True)
class Limits:
    """Limits on pictures.

    Attributes:
        max_pixels: of an input.
        scale: sides of the result over those of the input.
    """

    max_pixels: int
    scale: int = 1


def plan_tasks(
    jobs: Sequence[Job],
    settings: Settings,
    limits: Limits,
    *,
    overwrite: bool = False,
    page: int | None = None,
) -> Iterator[Task | Outcome]:
    """Make a task of each job, or an outcome if it is skipped or cannot succeed.

    Args:
        jobs: of all pictures.
        settings: checked against the model's sliders.
        limits: on the pictures.
        overwrite: replace existing results.
        page: index of the page to restore; all by default.
    """
    for job in jobs:
        values = settings.of(job.source.relative.as_posix())
        if job.target is not None and job.target.exists() and not overwrite:
            yield Outcome(job, values, skipped="it exists")
            continue
        try:
            yield _make_task(job, values, limits, page)
        except ImageError as error:
            yield Outcome(job, values, error=str(error))


@contextmanager
def lift_pillow_limit() -> Iterator[None]:
    """Disable Pillow's process-wide limit on pixels within the block; :class:`Limits` applies instead."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _make_task(job: Job, values: dict[str, float], limits: Limits, page: int | None) -> Task:
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
            f"use --max-pixels {pixels} if there is memory for it, or make the picture smaller"
        )
    try:
        note = job.form.fit_pages(replace(header, size=(limits.scale * width, limits.scale * height)))
    except ImageError as error:
        one = "; or choose one with --page 1" if header.pages > 1 else ""
        raise ImageError(f"{error}{one}") from error
    return Task(job, values, pixels, note, page)
