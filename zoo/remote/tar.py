"""A zoo, or an entry, in one tar file: for machines that no network reaches.

Nothing is ever unpacked: members are read by name, so that paths, links and devices in a tar file of somebody
else's lead nowhere.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from filelock import FileLock

from zoo.durable import replace_file, replacement_of
from zoo.errors import FetchError
from zoo.remote.download import OnBytes, explain_full_disk
from zoo.remote.index import INDEX

SUFFIX = ".tar"


class TarFiles:
    """Files in an uncompressed tar file; see :class:`zoo.remote.files.Files`.

    What is written is kept until the index is, and the file is then replaced as a whole.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._new: dict[str, bytes] = {}

    def read(self, name: str, limit: int) -> bytes | None:
        """See :class:`zoo.remote.files.Files`."""
        with self._open() as tar:
            member = _find(tar, name)
            return None if tar is None or member is None else _read_member(tar, member, limit)

    def fetch(self, name: str, target: Path, sha256: str, nbytes: int, on_bytes: OnBytes) -> None:
        """See :class:`zoo.remote.files.Files`."""
        data = self.read(name, nbytes)
        if data is None or len(data) != nbytes or hashlib.sha256(data).hexdigest() != sha256:
            got = "none" if data is None else "another"
            raise FetchError(
                f"expected {name} of {nbytes} bytes with SHA-256 {sha256} in {self._path}, got {got}; the "
                "file is damaged: push the entry again"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        with explain_full_disk(target.parent):
            replace_file(target, data)
        on_bytes(nbytes, nbytes)

    def holds(self, name: str, data: bytes) -> bool:
        """See :class:`zoo.remote.files.Files`."""
        return self._new.get(name) == data or self.read(name, len(data)) == data

    def write(self, name: str, data: bytes) -> None:
        """See :class:`zoo.remote.files.Files`."""
        self._new[name] = data
        if name == INDEX:
            self._flush()

    def hold(self) -> AbstractContextManager[object]:
        """See :class:`zoo.remote.files.Files`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self._path.with_name(f".{self._path.name}.lock"))

    def _flush(self) -> None:
        with (
            explain_full_disk(self._path.parent),
            replacement_of(self._path) as temporary,
            temporary.open("xb") as file,
        ):
            with tarfile.open(fileobj=file, mode="w") as made, self._open() as old:
                for member in old or ():
                    if _is_plain(member) and old is not None and _plain_name(member) not in self._new:
                        made.addfile(member, old.extractfile(member))
                for name, data in self._new.items():
                    added = tarfile.TarInfo(name)
                    added.size = len(data)
                    made.addfile(added, io.BytesIO(data))
            file.flush()
            os.fsync(file.fileno())
        self._new.clear()

    @contextmanager
    def _open(self) -> Iterator[tarfile.TarFile | None]:
        """The file for reading; None if there is none."""
        if not self._path.exists():
            yield None
            return
        problem = f"expected an uncompressed tar file at {self._path}, got"
        try:
            tar = tarfile.open(self._path, mode="r:")  # noqa: SIM115  # closed below
        except (tarfile.TarError, OSError) as error:
            raise FetchError(f"{problem}: {error}") from error
        with tar:
            try:
                yield tar
            except (tarfile.TarError, EOFError) as error:
                raise FetchError(f"{problem} a damaged one: {error}") from error


def _find(tar: tarfile.TarFile | None, name: str) -> tarfile.TarInfo | None:
    """The last member of that name, as an appended one replaces those before."""
    found = None
    for member in tar or ():
        if _is_plain(member) and _plain_name(member) == name:
            found = member
    return found


def _is_plain(member: tarfile.TarInfo) -> bool:
    return member.isreg() and not member.issparse()  # holes of a sparse one may be of any size


def _plain_name(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./")  # as `tar -C folder .` writes it


def _read_member(tar: tarfile.TarFile, member: tarfile.TarInfo, limit: int) -> bytes:
    # As much as is there: a manifest may promise any size, and a read would allocate it.
    file = tar.extractfile(member)
    return b"" if file is None else file.read(min(member.size, limit + 1))
