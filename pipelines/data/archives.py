"""Photographs out of archives that nobody vouched for: plain files of one folder, and nothing else."""

import gzip
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from pipelines.core.disk import check_room, full_disk_told
from pipelines.core.errors import DataError
from pipelines.data.extensions import is_photo
from pipelines.data.folders import replaced_folder


@dataclass(frozen=True)
class Member:
    """A file inside an archive; ``plain`` is false for links and devices."""

    name: str
    nbytes: int
    plain: bool


class _Archive(Protocol):
    def members(self) -> list[Member]: ...
    def open(self, member: Member) -> IO[bytes]: ...
    def check(self) -> None: ...


def unpack(archive: Path, inside: str, target: Path) -> None:
    """Write the photographs of one folder of an archive into ``target``, which appears whole or not at all.

    Args:
        archive: a zip, or a tar, compressed or not.
        inside: the folder, with ``/``; folders below it are not entered.
        target: where they go, under their last names.

    Raises:
        DataError: it is no archive or a damaged one, holds no photograph in that folder, a link in place of
            one or two of one name, or the disk is too small.
    """
    with _opened(archive) as opened:
        chosen = [member for member in opened.members() if _belongs(member.name, inside)]
        _check(chosen, archive, inside)
        with replaced_folder(target) as partial:
            check_room(partial, sum(member.nbytes for member in chosen), f"the photographs of {archive.name}")
            for member in chosen:
                _write(opened, member, partial / PurePosixPath(member.name).name)
            opened.check()


def _belongs(name: str, inside: str) -> bool:
    # Exactly one component below the folder: no way leads out of it.
    folder, _, last = name.removeprefix("./").rpartition("/")
    return folder == inside.strip("/") and is_photo(last) and not last.startswith(".")


def _check(chosen: list[Member], archive: Path, inside: str) -> None:
    if not chosen:
        raise DataError(
            f"expected photographs in folder {inside!r} of {archive}, got none; {_again(archive)}"
        )
    names = [member.name for member in chosen]
    for member in chosen:
        if not member.plain:
            raise DataError(f"expected a plain file at {member.name!r} in {archive}, got a link or a device")
    if len(set(names)) < len(names):
        raise DataError(f"expected each file once in {archive}, got two of one name; {_again(archive)}")


def _write(opened: _Archive, member: Member, path: Path) -> None:
    with full_disk_told(path.parent, "free some"), opened.open(member) as source, path.open("xb") as file:
        shutil.copyfileobj(source, file, 2**20)
        file.flush()
        os.fsync(file.fileno())


class _Zip:
    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file

    def members(self) -> list[Member]:
        infos = [info for info in self._file.infolist() if not info.is_dir()]
        return [Member(info.filename, info.file_size, not _is_special(info)) for info in infos]

    def open(self, member: Member) -> IO[bytes]:
        return self._file.open(member.name)

    def check(self) -> None:
        """Every member has a checksum of its own, looked at when it is read."""


class _Tar:
    def __init__(self, file: tarfile.TarFile) -> None:
        self._file = file

    def members(self) -> list[Member]:
        infos = [info for info in self._file.getmembers() if not info.isdir()]
        return [Member(info.name, info.size, info.isreg()) for info in infos]

    def open(self, member: Member) -> IO[bytes]:
        found = self._file.extractfile(member.name)
        if found is None:
            raise tarfile.ExtractError(f"{member.name!r} is no file")
        return found

    def check(self) -> None:
        # A compressed stream has one checksum, behind what a tar reads of it.
        assert self._file.fileobj is not None
        while self._file.fileobj.read(2**20):
            pass


def _is_special(info: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where another system than Unix packed it
    return kind not in (0, stat.S_IFREG)


@contextmanager
def _opened(archive: Path) -> Iterator[_Archive]:
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                yield _Zip(file)
        else:
            with tarfile.open(archive) as tar:
                yield _Tar(tar)
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        lzma.LZMAError,
        gzip.BadGzipFile,
        EOFError,
        RuntimeError,  # a password, or a compression that zipfile has not
    ) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(
            f"expected a zip or a tar of photographs at {archive}, got {reason}; {_again(archive)}"
        ) from error


def _again(archive: Path) -> str:
    return f"delete {archive} to download it again"
