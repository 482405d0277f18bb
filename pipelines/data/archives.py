"""Extract the photographs of one folder of an untrusted archive: plain files, and nothing else."""

import gzip
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from pipelines.core.errors import DataError, explain_full_disk, require_free_space
from zoo.durable import replace_folder
from zoo.pictures.heif import SUFFIXES as HEIF_SUFFIXES

PHOTO_SUFFIXES = HEIF_SUFFIXES | {".avif", ".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


def is_photo(name: str) -> bool:
    """Whether a file of that name or path should hold a photograph."""
    return PurePosixPath(name).suffix.lower() in PHOTO_SUFFIXES


def unpack_photos(archive: Path, inside: str, target: Path) -> None:
    """Write the photographs of one folder of an archive into ``target``, all of them or none.

    Args:
        archive: a zip, or a tar, compressed or not.
        inside: the folder, with ``/``; its sub-folders are not entered.
        target: the folder for them, under their last names.

    Raises:
        DataError: it is no archive or a damaged one; the folder holds no photograph, a link in place of one,
            or two of one name; or the disk is too small.
    """
    with _explain_damage(archive), ExitStack() as stack:
        if zipfile.is_zipfile(archive):
            members = _list_zip(stack.enter_context(zipfile.ZipFile(archive)))
            rest = None
        else:
            tar = stack.enter_context(tarfile.open(archive))
            members, rest = _list_tar(tar), tar.fileobj
        chosen = [member for member in members if _is_wanted(member.name, inside)]
        _check_members(archive, inside, chosen)
        with replace_folder(target) as folder:
            nbytes = sum(member.nbytes for member in chosen)
            require_free_space(folder, nbytes, f"the photographs of {archive.name}")
            for member in chosen:
                _write_member(member, folder / PurePosixPath(member.name).name)
            while rest is not None and rest.read(2**20):
                pass  # the checksum of a compressed tar comes after all that tarfile reads


class _Member(NamedTuple):
    name: str
    nbytes: int
    is_plain: bool
    open: Callable[[], IO[bytes] | None]


def _list_zip(file: zipfile.ZipFile) -> list[_Member]:
    infos = [info for info in file.infolist() if not info.is_dir()]
    # The file type is 0 where a system other than Unix packed it.
    plain = [stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG) for info in infos]
    return [
        _Member(info.filename, info.file_size, is_plain, partial(file.open, info))
        for info, is_plain in zip(infos, plain, strict=True)
    ]


def _list_tar(tar: tarfile.TarFile) -> list[_Member]:
    infos = [info for info in tar.getmembers() if not info.isdir()]
    return [_Member(info.name, info.size, info.isreg(), partial(tar.extractfile, info)) for info in infos]


def _is_wanted(name: str, inside: str) -> bool:
    # Exactly one component below the folder, so no path leads out of it.
    folder, _, last = name.removeprefix("./").rpartition("/")
    return folder == inside.strip("/") and is_photo(last) and not last.startswith(".")


def _check_members(archive: Path, inside: str, chosen: list[_Member]) -> None:
    again = f"delete {archive} to download it again"
    if not chosen:
        raise DataError(f"expected photographs in folder {inside!r} of {archive}, got none; {again}")
    for name, count in Counter(member.name for member in chosen).items():
        if count > 1:
            raise DataError(f"expected one file {name!r} in {archive}, got {count}; {again}")
    for member in chosen:
        if not member.is_plain:
            raise DataError(f"expected a plain file at {member.name!r} in {archive}, got a link or a device")


def _write_member(member: _Member, path: Path) -> None:
    source = member.open()
    assert source is not None  # a plain file
    with explain_full_disk(path.parent, "free some"), source, path.open("xb") as file:
        shutil.copyfileobj(source, file, 2**20)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _explain_damage(archive: Path) -> Iterator[None]:
    try:
        yield
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        lzma.LZMAError,
        gzip.BadGzipFile,
        EOFError,
        RuntimeError,  # a password, or a compression that zipfile does not know
    ) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(
            f"expected a zip or a tar of photographs at {archive}, got {reason}; "
            f"delete {archive} to download it again"
        ) from error
