"""Files at URLs, read and written through fsspec.

Any protocol that fsspec knows: ``s3://bucket/photos`` (with the extra ``s3``; keys, region and endpoint as
the AWS tools read them, from the environment or ``~/.aws``), ``https://``, ``memory://`` and others.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fsspec.implementations.local import LocalFileSystem

from pipelines.core.errors import DataError, explain_full_disk
from zoo.remote.fsspec_calls import call_fsspec

T = TypeVar("T")


def is_url(place: str) -> bool:
    """Whether a source or a destination is a URL rather than a folder."""
    return "://" in place


@dataclass(frozen=True)
class Remote:
    """A folder at a URL.

    Every method raises DataError, with the URL and the reason, when the server cannot be reached after a few
    retries or refuses, and when the disk to write to is full.
    """

    url: str

    def list_files(self, *, missing_ok: bool = False) -> list[str]:
        """List the paths of all files below the URL, sorted; with ``missing_ok`` none if that is missing."""

        def call(fs: Any, root: str) -> list[str]:
            fs.invalidate_cache()
            if not fs.exists(root):
                if missing_ok:
                    return []
                raise FileNotFoundError("no such folder")
            root = root.rstrip("/")
            return sorted(path.removeprefix(root).lstrip("/") for path in fs.find(root))

        return self._call("a folder of files", "", call)

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """Read a file, or its bytes from ``start`` to before ``end``."""
        return self._call("to read", name, lambda fs, path: bytes(fs.cat_file(path, start=start, end=end)))

    def nbytes(self, name: str) -> int | None:
        """Size of a file in bytes; None if it does not exist."""

        def call(fs: Any, path: str) -> int | None:
            try:
                fs.invalidate_cache()
                return int(fs.info(path)["size"])
            except FileNotFoundError:
                return None

        return self._call("the size of", name, call)

    def download(self, name: str, path: Path, remedy: str = "free some") -> None:
        """Download a file to ``path``, overwriting it; the error for a full disk ends with ``remedy``."""

        def call(fs: Any, remote: str) -> None:
            with explain_full_disk(path.parent, remedy):
                fs.get_file(remote, str(path))

        self._call("to read", name, call)

    def upload(self, path: Path, name: str) -> None:
        """Upload ``path`` to a file there, creating folders as needed."""

        def call(fs: Any, remote: str) -> None:
            with explain_full_disk(Path(remote).parent, "free some"):  # where the URL is a mounted disk
                if isinstance(fs, LocalFileSystem):  # on S3 this would create a bucket of a mistyped name
                    fs.makedirs(fs._parent(remote), exist_ok=True)
                fs.put_file(str(path), remote)

        self._call("to write", name, call)

    def remove(self, name: str) -> None:
        """Remove a file; one that does not exist is removed."""

        def call(fs: Any, path: str) -> None:
            with suppress(FileNotFoundError):
                fs.rm_file(path)

        self._call("to remove", name, call)

    def _call(self, purpose: str, name: str, call: Callable[[Any, str], T]) -> T:
        url = f"{self.url.rstrip('/')}/{name}" if name else self.url
        return call_fsspec(purpose, url, call, kind=DataError, missing="check the bucket and the path")
