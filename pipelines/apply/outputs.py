"""Assign a target to each picture; no result overwrites an input or another result."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipelines.apply.inputs import Inputs, Source
from pipelines.core.errors import ConfigError
from zoo.errors import ImageError
from zoo.pictures.formats import BY_SUFFIX, Format, name_result, parse_suffix

STDOUT = "-"


@dataclass(frozen=True)
class Job:
    """Source and target of one picture.

    Attributes:
        source: the picture.
        target: file of the result; None for standard output.
        form: format of the result.
    """

    source: Source
    target: Path | None
    form: Format

    @property
    def output(self) -> str:
        """How messages name the result."""
        return "standard output" if self.target is None else str(self.target)


class OverwriteGuard:
    """Protects inputs and written results, identified by device and inode rather than by name.

    Args:
        paths: the inputs.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._protected = {file: f"the input {path}" for path in paths if (file := _identify(path))}

    def check(self, target: Path) -> None:
        """Refuse a target that is an input or a result of this run, under any name.

        Raises:
            ConfigError: the target is protected.
        """
        if owner := self._protected.get(_identify(target) or (-1, -1)):
            raise ConfigError(f"{target} is {owner}, which is never overwritten; choose another OUTPUT")

    def add(self, target: Path) -> None:
        """Protect a result: on a file system that ignores case, A.png and a.png are one file."""
        if file := _identify(target):
            self._protected[file] = f"a result of this run, {target}"


def assign_targets(inputs: Inputs, output: str, kind: str | None = None) -> list[Job]:
    """Choose a target and a format for each input.

    OUTPUT is a file if there is one input file and OUTPUT has a suffix; otherwise a folder, in which inputs
    keep their relative paths, and their suffixes where the format can be written.

    Args:
        inputs: at least one.
        output: a folder, a file, or ``-``.
        kind: suffix of a format, with or without the dot; by default that of OUTPUT or of the input.

    Raises:
        ConfigError: an unknown format, two formats, one file for several pictures, two pictures with the same
            target, a target that is an input, or a folder that is not writable.
    """
    suffix = _parse_kind(kind)
    if output == STDOUT:
        if len(inputs.sources) > 1:
            raise ConfigError(
                f"-o -: standard output takes one picture, got {len(inputs.sources)}; name a folder"
            )
        return [Job(source, None, _find_format(_name_result(source, suffix))) for source in inputs.sources]
    if _is_file(output, inputs):
        return _check_targets(inputs, [_make_file_job(inputs.sources[0], Path(output), suffix)])
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"-o {output}: expected a folder for {len(inputs.sources)} pictures, got a file")
    jobs = []
    for source in inputs.sources:
        place = _name_result(source, suffix)
        jobs.append(Job(source, folder / place, _find_format(place)))
    return _check_targets(inputs, jobs)


def guard_inputs(inputs: Inputs) -> OverwriteGuard:
    """Protect all inputs."""
    return OverwriteGuard(source.path for source in inputs.sources if source.path is not None)


def _is_file(output: str, inputs: Inputs) -> bool:
    path = Path(output)
    if output.endswith(("/", os.sep)) or path.is_dir() or not (path.suffix or path.is_file()):
        return False
    if inputs.is_single:
        return True
    if path.suffix.lower() in BY_SUFFIX:
        raise ConfigError(
            f"-o {output} names one file, got {len(inputs.sources)} pictures; name a folder, ending with /"
        )
    return False


def _make_file_job(source: Source, target: Path, suffix: str | None) -> Job:
    found = target.suffix.lower()
    if found not in BY_SUFFIX:
        raise ConfigError(
            f"-o {target}: expected a suffix among {', '.join(BY_SUFFIX)}, got {target.suffix!r}; "
            f"a folder ends with /"
        )
    if suffix and BY_SUFFIX[suffix] is not BY_SUFFIX[found]:
        raise ConfigError(f"-o {target} and --format {suffix[1:]} name two formats; keep one")
    return Job(source, target, BY_SUFFIX[found])


def _check_targets(inputs: Inputs, jobs: list[Job]) -> list[Job]:
    guard = guard_inputs(inputs)
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
    """Refuse a folder that can neither be created nor written into."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise ConfigError(f"{folder}: expected a folder, or room for one, but {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"{existing}: expected a folder that may be written into; change its rights or -o")


def _parse_kind(kind: str | None) -> str | None:
    try:
        return None if kind is None else parse_suffix(kind)
    except ImageError as error:
        raise ConfigError(f"--format: {error}") from error


def _name_result(source: Source, suffix: str | None) -> PurePosixPath:
    return PurePosixPath(name_result(str(source.relative), suffix))


def _find_format(place: PurePosixPath) -> Format:
    return BY_SUFFIX[place.suffix.lower()]


def _identify(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
