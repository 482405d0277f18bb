"""The pictures that a command names: files, folders, globs, standard input."""

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
        relative: its place below a folder of results.
        data: its bytes, where they come from standard input.
        fault: why it cannot be read, where that is known.
    """

    path: Path | None
    relative: PurePosixPath
    data: bytes = field(default=b"", repr=False)
    fault: str = ""

    @property
    def name(self) -> str:
        """As people know it."""
        return "standard input" if self.path is None else str(self.path)

    @property
    def content(self) -> Path | bytes:
        """What a reader of pictures takes."""
        return self.data if self.path is None else self.path


@dataclass(frozen=True)
class Inputs:
    """What a command named.

    Attributes:
        sources: each once, folders in alphabetical order.
        lone: it named one file, and no folder.
        passed_over: how many files of folders are no pictures that we read, by suffix.
    """

    sources: tuple[Source, ...]
    lone: bool
    passed_over: Counter[str]


def collect(arguments: Sequence[str], output: str, stdin: bytes = b"") -> Inputs:
    """The pictures behind the arguments.

    A folder stands for the files in it and below whose suffix is that of a format we read; hidden ones,
    linked folders and the folder of results are left out. A glob that the shell has not resolved, ``**``
    included, is resolved here, and files keep their place below its fixed part, as they do below a folder. A
    file that is not there is a source like any other: reading it fails.

    Args:
        arguments: at least one.
        output: where results go.
        stdin: what ``-`` stands for.

    Raises:
        ConfigError: no picture, or ``-`` beside other inputs.
    """
    if STDIN in arguments:
        if len(arguments) > 1:
            raise ConfigError(
                f"- is one picture from standard input: expected it alone, got {len(arguments)} inputs"
            )
        return Inputs((Source(None, PurePosixPath("stdin"), stdin),), lone=True, passed_over=Counter())
    finder = _Finder(os.path.realpath(output))
    found: dict[tuple[str, PurePosixPath], Source] = {}
    for argument in arguments:
        for source in finder.sources(argument):
            found.setdefault((os.path.abspath(source.name), source.relative), source)
    if not found:
        raise ConfigError(f"{', '.join(arguments)}: expected pictures ({_suffixes()}), found none")
    lone = len(arguments) == len(found) == 1 and not os.path.isdir(arguments[0])
    return Inputs(tuple(found.values()), lone, finder.passed_over)


class _Finder:
    def __init__(self, output: str) -> None:
        self._output, self._suffixes = output, readable_suffixes()
        self.passed_over: Counter[str] = Counter()

    def sources(self, argument: str) -> Iterator[Source]:
        """Those of one argument."""
        path = Path(argument)
        if path.is_dir():
            yield from self._below(path, path)
        elif not os.path.lexists(path) and glob.has_magic(argument):
            yield from self._matching(argument)
        else:
            yield Source(path, PurePosixPath(path.name))

    def _below(self, folder: Path, root: Path) -> Iterator[Source]:
        faults: list[OSError] = []
        for parent, folders, files in os.walk(folder, onerror=faults.append):
            folders[:] = sorted(name for name in folders if self._enters(os.path.join(parent, name)))
            for name in sorted(name for name in files if not name.startswith(".")):
                path = Path(parent, name)
                if path.suffix.lower() in self._suffixes:
                    yield Source(path, _relative(path, root))
                else:
                    self.passed_over[path.suffix.lower() or name] += 1
        for fault in faults:
            path = Path(fault.filename)
            yield Source(path, _relative(path, root), fault=f"cannot list {path}: {fault.strerror}")

    def _matching(self, pattern: str) -> Iterator[Source]:
        parts = Path(pattern).parts
        root = Path(*parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))])
        inside = self._output.startswith(os.path.join(os.path.realpath(root), ""))
        for match in sorted(glob.glob(pattern, recursive=True)):
            path = Path(match)
            if inside and f"{os.path.realpath(path)}{os.sep}".startswith(f"{self._output}{os.sep}"):
                continue
            yield from self._below(path, root) if path.is_dir() else [Source(path, _relative(path, root))]

    def _enters(self, folder: str) -> bool:
        # Results of the last time in a folder inside the input would be restored again, and again.
        return not os.path.basename(folder).startswith(".") and os.path.realpath(folder) != self._output


def _relative(path: Path, root: Path) -> PurePosixPath:
    return PurePosixPath(path.relative_to(root).as_posix())


def _suffixes() -> str:
    return ", ".join(sorted(readable_suffixes()))
