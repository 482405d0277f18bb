"""Where each result goes, and that none goes over an input or another result."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipelines.apply.inputs import Inputs, Source
from pipelines.core.errors import ConfigError
from zoo.pictures.formats import BY_SUFFIX, Format, readable_suffixes

STDOUT = "-"
FALLBACK = ".png"
"""For inputs of a format that we do not write."""


@dataclass(frozen=True)
class Job:
    """One picture on its way.

    Attributes:
        source: the picture.
        target: the file of the result; None for standard output.
        form: the result's format.
    """

    source: Source
    target: Path | None
    form: Format

    @property
    def output(self) -> str:
        """The result as people know it."""
        return "standard output" if self.target is None else str(self.target)


class Guard:
    """Knows the files that nothing may be written over, by what they are and not by what they are called.

    Args:
        paths: the inputs.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._held = {identity: f"the input {path}" for path in paths if (identity := _identity(path))}

    def check(self, target: Path) -> None:
        """Refuse a target that is an input, or that this run wrote, under whatever name.

        Raises:
            ConfigError: it is.
        """
        if held := self._held.get(_identity(target) or (-1, -1)):
            raise ConfigError(f"{target} is {held}, which is never overwritten; choose another OUTPUT")

    def add(self, target: Path) -> None:
        """Hold a result that was written: a file system that takes A.png for a.png has one file for two."""
        if identity := _identity(target):
            self._held[identity] = f"a result of this run, {target}"


def place(inputs: Inputs, output: str, kind: str | None = None) -> list[Job]:
    """A target and a format for each input.

    A file where there is one input file and OUTPUT has a suffix; otherwise a folder, which keeps the places
    and the suffixes of the inputs, so far as we write their formats.

    Args:
        inputs: at least one.
        output: a folder, a file, or ``-``.
        kind: a format by its suffix, with or without the point; by default what the names say.

    Raises:
        ConfigError: an unknown format, two that differ, a file for several pictures, two pictures for one
            file, a result that would go over an input, or a folder that nothing can be written into.
    """
    suffix = _suffix(kind)
    if output == STDOUT:
        if len(inputs.sources) > 1:
            raise ConfigError(
                f"-o -: standard output takes one picture, got {len(inputs.sources)}; name a folder"
            )
        return [Job(source, None, BY_SUFFIX[suffix or _own(source)]) for source in inputs.sources]
    if _is_file(output, inputs):
        return _checked(inputs, [_job_of_file(inputs.sources[0], Path(output), suffix)])
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"-o {output}: expected a folder for {len(inputs.sources)} pictures, got a file")
    jobs = []
    for source in inputs.sources:
        found = suffix or _own(source)
        jobs.append(Job(source, folder / _renamed(source.relative, found), BY_SUFFIX[found]))
    return _checked(inputs, jobs)


def guard_of(inputs: Inputs) -> Guard:
    """A guard of all inputs."""
    return Guard(source.path for source in inputs.sources if source.path is not None)


def _is_file(output: str, inputs: Inputs) -> bool:
    path = Path(output)
    if output.endswith(("/", os.sep)) or path.is_dir() or not (path.suffix or path.is_file()):
        return False
    if inputs.lone:
        return True
    if path.suffix.lower() in BY_SUFFIX:
        raise ConfigError(
            f"-o {output} names one file, got {len(inputs.sources)} pictures; name a folder, ending with /"
        )
    return False


def _job_of_file(source: Source, target: Path, suffix: str | None) -> Job:
    found = target.suffix.lower()
    if found not in BY_SUFFIX:
        raise ConfigError(
            f"-o {target}: expected a suffix among {', '.join(BY_SUFFIX)}, got {target.suffix!r}; "
            f"a folder ends with /"
        )
    if suffix and BY_SUFFIX[suffix] is not BY_SUFFIX[found]:
        raise ConfigError(f"-o {target} and --format {suffix[1:]} name two formats; keep one")
    return Job(source, target, BY_SUFFIX[found])


def _checked(inputs: Inputs, jobs: list[Job]) -> list[Job]:
    guard = guard_of(inputs)
    sources: dict[Path | None, Source] = {}
    for job in jobs:
        assert job.target is not None
        guard.check(job.target)
        if job.target.is_dir():
            raise ConfigError(f"{job.target} is a folder, and {job.source.name} would become it; rename one")
        other = sources.setdefault(job.target, job.source)
        if other is not job.source:
            raise ConfigError(
                f"{other.name} and {job.source.name} would both become {job.target}; give a folder or a "
                "quoted glob that holds both, which keeps their places, or rename one"
            )
    for folder in {path.parent for path in sources if path is not None}:
        _check_folder(folder)
    return jobs


def _check_folder(folder: Path) -> None:
    """Refuse a folder that we can neither make nor write into."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ConfigError(f"{folder}: expected a folder, or room for one, but {there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"{there}: expected a folder that may be written into; change its rights or -o")


def _suffix(kind: str | None) -> str | None:
    if kind is None:
        return None
    suffix = f".{kind.lower().removeprefix('.')}"
    if suffix not in BY_SUFFIX:
        valid = ", ".join(suffix[1:] for suffix in BY_SUFFIX)
        raise ConfigError(f"--format: expected one of {valid}, got {kind!r}")
    return suffix


def _renamed(relative: PurePosixPath, suffix: str) -> PurePosixPath:
    own = relative.suffix.lower()
    if own == suffix:  # in capitals perhaps, which stay
        return relative
    # What follows a point in portrait.v2 is no suffix.
    return relative.with_name(f"{relative.stem if own in readable_suffixes() else relative.name}{suffix}")


def _own(source: Source) -> str:
    suffix = source.relative.suffix.lower()
    return suffix if suffix in BY_SUFFIX else FALLBACK


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
