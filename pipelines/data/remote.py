"""Files at URLs, read and written through fsspec: the only module that imports it.

Any protocol that fsspec knows: ``s3://bucket/photos`` (with the extra ``s3``; keys, region and endpoint as
the AWS tools read them, from the environment or ``~/.aws``), ``https://``, ``memory://`` and others.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from pipelines.core.errors import DataError, explain_full_disk

PAUSES_S = (0.5, 2.0, 5.0)
"""Pauses before the retries of a failed call."""

T = TypeVar("T")

_FINAL = (  # retrying does not help
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    NotImplementedError,  # fsspec: this kind of storage cannot do it, such as writing to GitHub
    ImportError,
    ValueError,
)


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

        return self._retry("a folder of files", "", call)

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """Read a file, or its bytes from ``start`` to before ``end``."""
        return self._retry("to read", name, lambda fs, path: bytes(fs.cat_file(path, start=start, end=end)))

    def nbytes(self, name: str) -> int | None:
        """Size of a file in bytes; None if it does not exist."""

        def call(fs: Any, path: str) -> int | None:
            try:
                fs.invalidate_cache()
                return int(fs.info(path)["size"])
            except FileNotFoundError:
                return None

        return self._retry("the size of", name, call)

    def download(self, name: str, path: Path, remedy: str = "free some") -> None:
        """Download a file to ``path``, overwriting it; the error for a full disk ends with ``remedy``."""

        def call(fs: Any, remote: str) -> None:
            with explain_full_disk(path.parent, remedy):
                fs.get_file(remote, str(path))

        self._retry("to read", name, call)

    def upload(self, path: Path, name: str) -> None:
        """Upload ``path`` to a file there, creating folders as needed."""

        def call(fs: Any, remote: str) -> None:
            with explain_full_disk(Path(remote).parent, "free some"):  # where the URL is a mounted disk
                if isinstance(fs, LocalFileSystem):  # on S3 this would create a bucket of a mistyped name
                    fs.makedirs(fs._parent(remote), exist_ok=True)
                fs.put_file(str(path), remote)

        self._retry("to write", name, call)

    def remove(self, name: str) -> None:
        """Remove a file; one that does not exist is removed."""

        def call(fs: Any, path: str) -> None:
            with suppress(FileNotFoundError):
                fs.rm_file(path)

        self._retry("to remove", name, call)

    def _retry(self, purpose: str, name: str, call: Callable[[Any, str], T]) -> T:
        url = f"{self.url.rstrip('/')}/{name}" if name else self.url
        for pause_s in (*PAUSES_S, None):
            try:
                # Each time anew: an instance does not survive a fork, which fsspec's own cache takes care of.
                return call(*url_to_fs(url))
            except DataError:  # a full disk
                raise
            except _FINAL as error:
                raise _access_error(purpose, url, error) from error
            except Exception as error:  # each protocol has its own: botocore's, aiohttp's, ...
                if pause_s is None or type(error).__name__ == "NoCredentialsError":
                    raise _access_error(purpose, url, error) from error
                time.sleep(pause_s)
        raise AssertionError("unreachable")


def _access_error(purpose: str, url: str, error: Exception) -> DataError:
    reason = " ".join(str(error).split()) or type(error).__name__
    match error:
        case ImportError():
            remedy = "install what reads it, for s3: pip install 'tunable-zoo[s3]'"
        case PermissionError():
            remedy = "check the keys (for s3: AWS_ACCESS_KEY_ID or ~/.aws) and their permissions"
        case _ if type(error).__name__ == "NoCredentialsError":
            remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws"
        case FileNotFoundError():
            remedy = "check the bucket and the path"
        case _:
            remedy = "check the URL and the network"
    return DataError(f"expected {purpose} {url}, got {type(error).__name__}: {reason}; {remedy}")
