"""Resolve the inputs of a command to pictures: files, folders, globs, standard input."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipelines.core.errors import ConfigError
from zoo.pictures.formats import readable_suffixes

STDIN = "-"


@dataclass(frozen=True)
class Source:
    """A picture to read.

    Attributes:
        path: its file; None for standard input.
        relative: path of its result below an output folder, but for the suffix.
        data: its content, if it is read from standard input.
        fault: why it cannot be read, if that is known.
    """

    path: Path | None
    relative: PurePosixPath
    data: bytes = field(default=b"", repr=False)
    fault: str = ""

    @property
    def name(self) -> str:
        """How messages name it."""
        return "standard input" if self.path is None else str(self.path)

    @property
    def content(self) -> Path | bytes:
        """What :func:`zoo.read_pages` takes."""
        return self.data if self.path is None else self.path


@dataclass(frozen=True)
class Inputs:
    """Pictures that a command names.

    Attributes:
        sources: each once, folders in alphabetical order.
        is_single: the command names one file, and no folder.
        ignored: files of folders whose format is not supported, counted by suffix.
    """

    sources: tuple[Source, ...]
    is_single: bool
    ignored: Counter[str]


def collect_inputs(arguments: Sequence[str], output: str, stdin: bytes = b"") -> Inputs:
    """Find the pictures that the arguments name.

    A folder means all files in and below it with the suffix of a supported format, except hidden ones, linked
    folders and the output folder. A glob that the shell has not expanded, ``**`` included, is expanded here.
    Files keep their relative path below a folder, and below the fixed part of a glob. A missing file is
    returned like any other: reading it fails.

    Args:
        arguments: at least one.
        output: file or folder of the results.
        stdin: content of the picture ``-``.

    Raises:
        ConfigError: no picture, or ``-`` beside other inputs.
    """
    if STDIN in arguments:
        if len(arguments) > 1:
            raise ConfigError(
                f"- is one picture from standard input: expected it alone, got {len(arguments)} inputs"
            )
        return Inputs((Source(None, PurePosixPath("stdin"), stdin),), is_single=True, ignored=Counter())
    finder = _Finder(os.path.realpath(output))
    found: dict[tuple[str, PurePosixPath], Source] = {}
    for argument in arguments:
        for source in finder.find(argument):
            found.setdefault((os.path.abspath(source.name), source.relative), source)
    if not found:
        suffixes = ", ".join(sorted(readable_suffixes()))
        raise ConfigError(f"{', '.join(arguments)}: expected pictures ({suffixes}), found none")
    is_single = len(arguments) == len(found) == 1 and not os.path.isdir(arguments[0])
    return Inputs(tuple(found.values()), is_single, finder.ignored)


class _Finder:
    def __init__(self, output: str) -> None:
        self._output, self._suffixes = output, readable_suffixes()
        self.ignored: Counter[str] = Counter()

    def find(self, argument: str) -> Iterator[Source]:
        """Sources of one argument."""
        path = Path(argument)
        if path.is_dir():
            yield from self._walk(path, path)
        elif not os.path.lexists(path) and glob.has_magic(argument):
            yield from self._expand(argument)
        else:
            yield Source(path, PurePosixPath(path.name))

    def _walk(self, folder: Path, root: Path) -> Iterator[Source]:
        faults: list[OSError] = []
        for parent, folders, files in os.walk(folder, onerror=faults.append):
            folders[:] = sorted(name for name in folders if self._is_entered(os.path.join(parent, name)))
            for name in sorted(name for name in files if not name.startswith(".")):
                path = Path(parent, name)
                if path.suffix.lower() in self._suffixes:
                    yield Source(path, _relative_to(path, root))
                else:
                    self.ignored[path.suffix.lower() or name] += 1
        for fault in faults:
            path = Path(fault.filename)
            yield Source(path, _relative_to(path, root), fault=f"cannot list {path}: {fault.strerror}")

    def _expand(self, pattern: str) -> Iterator[Source]:
        parts = Path(pattern).parts
        root = Path(*parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))])
        inside = self._output.startswith(os.path.join(os.path.realpath(root), ""))
        for match in sorted(glob.glob(pattern, recursive=True)):
            path = Path(match)
            if inside and f"{os.path.realpath(path)}{os.sep}".startswith(f"{self._output}{os.sep}"):
                continue
            yield from self._walk(path, root) if path.is_dir() else [Source(path, _relative_to(path, root))]

    def _is_entered(self, folder: str) -> bool:
        # Results of an earlier command, in a folder inside the input, are no inputs.
        return not os.path.basename(folder).startswith(".") and os.path.realpath(folder) != self._output


def _relative_to(path: Path, root: Path) -> PurePosixPath:
    return PurePosixPath(path.relative_to(root).as_posix())
