"""Files of a folder elsewhere: over HTTP, in a tar file, or on any storage that fsspec knows.

``https://`` and ``http://`` are read only, through :mod:`zoo.remote.download`. ``s3://``, ``gs://``,
``hf://`` and others, and a folder of this machine, go through fsspec, with the package that it asks for. Its
chained URLs do, too: ``dvc://shared/zoo::https://host/repository`` is a folder that DVC tracks.
"""

import hashlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol, TypeVar

import requests
from filelock import FileLock
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from zoo.durable import replace_file, replacement_of
from zoo.errors import FetchError
from zoo.remote.download import RETRY, TIMEOUT_S, OnBytes, check_free_space, download, explain_full_disk
from zoo.remote.fsspec_calls import call_fsspec, describe_failure
from zoo.remote.offline import require_online
from zoo.remote.tar import SUFFIX as TAR_SUFFIX
from zoo.remote.tar import TarFiles

INDEX_RETRY = RETRY.new(total=1)
"""Of an index: another source may have the entry, and its user waits for a name."""

T = TypeVar("T")


class Files(Protocol):
    """Files by name below a URL; every method raises FetchError with the URL and the reason."""

    def read(self, name: str, limit: int) -> bytes | None:
        """A small file, None if there is none; one byte more than the limit is read of a larger one."""

    def fetch(self, name: str, target: Path, sha256: str, nbytes: int, on_bytes: OnBytes) -> None:
        """Fetch a file of known content; ``target`` is whole and right, or missing."""

    def holds(self, name: str, data: bytes) -> bool:
        """Whether a file is there already: of that content in a folder, of that size elsewhere."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file: readers see the old content or the new one."""

    def hold(self) -> AbstractContextManager[object]:
        """One publisher of this machine at a time, where that can be had."""


def is_local(url: str) -> bool:
    """Whether a zoo is a folder or a tar file of this machine."""
    return "://" not in url


def join_url(url: str, name: str) -> str:
    """The URL of a file in a folder; of a chained one, the first part says where the folder is."""
    links = url.split("::")
    place = next((number for number, link in enumerate(links) if "://" in link), 0)
    head = links[place]
    links[place] = f"{head if head.endswith('://') else head.rstrip('/')}/{name}"
    return "::".join(links)


def open_files(url: str) -> Files:
    """The files below a URL, or in a folder of this machine.

    Raises:
        FetchError: they are on another machine, and none may be asked.
    """
    if is_local(url):
        return TarFiles(Path(url)) if url.endswith(TAR_SUFFIX) else StorageFiles(url)
    require_online(url)
    return HttpFiles(url) if url.startswith(("http://", "https://")) else StorageFiles(url)


class HttpFiles:
    """Files below a URL of the web."""

    def __init__(self, url: str) -> None:
        self._url = url

    def read(self, name: str, limit: int) -> bytes | None:
        """See :class:`Files`."""
        url = f"{self._url}/{name}"
        try:
            with requests.Session() as session:
                for scheme in ("http://", "https://"):
                    session.mount(scheme, HTTPAdapter(max_retries=INDEX_RETRY))
                with session.get(url, stream=True, timeout=TIMEOUT_S) as response:
                    return _read_answer(response, url, limit + 1)
        except (requests.RequestException, HTTPError) as error:
            remedy = "check the address and the network"
            raise FetchError(describe_failure("to read", url, error, remedy)) from error

    def fetch(self, name: str, target: Path, sha256: str, nbytes: int, on_bytes: OnBytes) -> None:
        """See :class:`Files`."""
        download(f"{self._url}/{name}", target, sha256, nbytes=nbytes, on_bytes=on_bytes)

    def holds(self, name: str, data: bytes) -> bool:
        """See :class:`Files`."""
        raise self._read_only()

    def write(self, name: str, data: bytes) -> None:
        """See :class:`Files`."""
        raise self._read_only()

    def hold(self) -> AbstractContextManager[object]:
        """See :class:`Files`."""
        raise self._read_only()

    def _read_only(self) -> FetchError:
        return FetchError(
            f"cannot write to {self._url} over HTTP; push to the folder or bucket that it serves"
        )


def _read_answer(response: requests.Response, url: str, nbytes: int) -> bytes | None:
    """The start of a file; None if there is none."""
    if response.status_code in (404, 410):
        return None
    plain = [hop.url for hop in (*response.history, response) if not hop.url.startswith("https:")]
    if url.startswith("https:") and plain:
        raise FetchError(
            f"{url} leads to {plain[0]}, which anybody on the way can change; add the zoo by an https address"
        )
    if response.status_code != 200:
        raise FetchError(
            f"expected a file at {url}, got {response.status_code} {response.reason}; check the address"
        )
    data = b""
    for chunk in response.iter_content(2**16):
        data += chunk
        if len(data) >= nbytes:
            break
    return data[:nbytes]


class StorageFiles:
    """Files below a URL that fsspec knows."""

    def __init__(self, url: str) -> None:
        self._url = url

    def read(self, name: str, limit: int) -> bytes | None:
        """See :class:`Files`."""

        def call(fs: Any, path: str) -> bytes | None:
            try:
                fs.invalidate_cache()
                with fs.open(path, "rb") as file:
                    return bytes(file.read(limit + 1))
            except FileNotFoundError:
                return None

        return self._call("to read", name, call)

    def fetch(self, name: str, target: Path, sha256: str, nbytes: int, on_bytes: OnBytes) -> None:
        """See :class:`Files`."""
        target.parent.mkdir(parents=True, exist_ok=True)
        check_free_space(target.parent, nbytes, f"{self._url}/{name}")

        def call(fs: Any, path: str) -> None:
            with replacement_of(target) as partial, explain_full_disk(target.parent):
                digest, done = hashlib.sha256(), 0
                with fs.open(path, "rb") as source, partial.open("xb") as file:
                    on_bytes(0, nbytes)
                    while chunk := source.read(min(2**20, nbytes + 1 - done)):
                        digest.update(chunk)
                        file.write(chunk)
                        done += len(chunk)
                        on_bytes(done, nbytes)
                    file.flush()
                    os.fsync(file.fileno())
                if done != nbytes or digest.hexdigest() != sha256:
                    raise FetchError(
                        f"expected {nbytes} bytes with SHA-256 {sha256} at {self._url}/{name}, got others; "
                        "the zoo there is damaged: push the entry again"
                    )

        self._call("to read", name, call)

    def holds(self, name: str, data: bytes) -> bool:
        """See :class:`Files`."""

        def call(fs: Any, path: str) -> bool:
            try:
                fs.invalidate_cache()
                if int(fs.info(path)["size"]) != len(data):
                    return False
                return not is_local(self._url) or Path(path).read_bytes() == data
            except FileNotFoundError:
                return False

        return self._call("to find", name, call)

    def write(self, name: str, data: bytes) -> None:
        """See :class:`Files`."""

        def call(fs: Any, path: str) -> None:
            with explain_full_disk(Path(path).parent):
                if is_local(self._url):
                    Path(path).parent.mkdir(parents=True, exist_ok=True)
                    replace_file(Path(path), data)
                else:
                    fs.pipe_file(path, data)  # storages of objects replace them at once

        self._call("to write", name, call)

    def hold(self) -> AbstractContextManager[object]:
        """See :class:`Files`."""
        return FileLock(Path(self._url) / ".index.json.lock") if is_local(self._url) else nullcontext()

    def _call(self, purpose: str, name: str, call: Callable[[Any, str], T]) -> T:
        missing = "the zoo there is incomplete: push its entries again"
        return call_fsspec(purpose, join_url(self._url, name), call, kind=FetchError, missing=missing)
