"""Folders named by a URL: the only module that imports fsspec.

Any protocol that fsspec knows: ``s3://bucket/photos`` (with the extra ``s3``; keys, region and endpoint as
the AWS tools read them, from the environment or ``~/.aws``), ``https://``, ``memory://`` and others.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from pipelines.core.disk import full_disk_told
from pipelines.core.errors import DataError

PAUSES_S = (0.5, 2.0, 5.0)
"""Waits before a call that failed is tried again."""

T = TypeVar("T")

# Trying again does not help against these.
_FINAL = (
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    NotImplementedError,  # how fsspec says that a kind of storage cannot do this, such as writing to GitHub
    ImportError,
    ValueError,
)


def is_url(place: str) -> bool:
    """Whether a source or a destination is a URL, not a folder."""
    return "://" in place


@dataclass(frozen=True)
class Remote:
    """A folder at a URL.

    Every method raises DataError, with the URL and the reason, when the place cannot be reached after a few
    tries, or says no; and at once where the disk that is written to is full.
    """

    url: str

    def files(self) -> list[str]:
        """Paths below the URL of all files, sorted; empty where there is nothing."""

        def call(fs: Any, root: str) -> list[str]:
            if not fs.exists(root):
                raise FileNotFoundError("no such folder")
            root = root.rstrip("/")
            return sorted(path.removeprefix(root).lstrip("/") for path in fs.find(root))

        return self._tried("a folder of files", "", call)

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of a file, or those from ``start`` to before ``end``."""
        return self._tried("to read", name, lambda fs, path: bytes(fs.cat_file(path, start=start, end=end)))

    def nbytes(self, name: str) -> int | None:
        """The size of a file, None where there is none."""

        def call(fs: Any, path: str) -> int | None:
            try:
                fs.invalidate_cache()
                return int(fs.info(path)["size"])
            except FileNotFoundError:
                return None

        return self._tried("the size of", name, call)

    def download(self, name: str, path: Path, remedy: str = "free some") -> None:
        """Copy a file to ``path``, which is overwritten; the error of a full disk ends with ``remedy``."""

        def call(fs: Any, remote: str) -> None:
            with full_disk_told(path.parent, remedy):
                fs.get_file(remote, str(path))

        self._tried("to read", name, call)

    def upload(self, path: Path, name: str) -> None:
        """Copy ``path`` to a file there, with the folders on the way."""

        def call(fs: Any, remote: str) -> None:
            with full_disk_told(Path(remote).parent, "free some"):  # of a disk that is mounted here
                if isinstance(fs, LocalFileSystem):  # on S3 this would make a bucket of a mistyped name
                    fs.makedirs(fs._parent(remote), exist_ok=True)
                fs.put_file(str(path), remote)

        self._tried("to write", name, call)

    def _tried(self, purpose: str, name: str, call: Callable[[Any, str], T]) -> T:
        url = f"{self.url.rstrip('/')}/{name}" if name else self.url
        for pause_s in (*PAUSES_S, None):
            try:
                # Asked for each time: an instance does not survive a fork, fsspec's own cache knows.
                return call(*url_to_fs(url))
            except DataError:  # a full disk
                raise
            except _FINAL as error:
                raise _unreachable(purpose, url, error) from error
            except Exception as error:  # each protocol has its own: botocore's, aiohttp's, ...
                if pause_s is None or type(error).__name__ == "NoCredentialsError":
                    raise _unreachable(purpose, url, error) from error
                time.sleep(pause_s)
        raise AssertionError("unreachable")


def _unreachable(purpose: str, url: str, error: Exception) -> DataError:
    reason = " ".join(str(error).split()) or type(error).__name__
    match error:
        case ImportError():
            remedy = "install what reads it, for s3: pip install 'tunable-zoo[s3]'"
        case PermissionError():
            remedy = "check the keys (for s3: AWS_ACCESS_KEY_ID or ~/.aws) and what they may do there"
        case _ if type(error).__name__ == "NoCredentialsError":
            remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws"
        case FileNotFoundError():
            remedy = "check the bucket and the path"
        case _:
            remedy = "check the URL and the network"
    return DataError(f"expected {purpose} {url}, got {type(error).__name__}: {reason}; {remedy}")
