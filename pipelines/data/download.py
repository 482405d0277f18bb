"""Downloading a file over HTTP, so that it arrives whole or the error says why not.

What has arrived lies in ``<name>.part`` until all has; beside it, in ``<name>.part.json``, what the server
calls that version of the file. A later attempt goes on from there only if the server still has that version
(RFC 9110, section 13.1.5, https://www.rfc-editor.org/rfc/rfc9110#name-if-range).
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import requests
from filelock import FileLock

from pipelines.core.disk import check_room, full_disk_told
from pipelines.core.errors import DataError
from pipelines.core.progress import Display
from pipelines.core.records import read_json, sha256_file, write_json_atomic
from zoo.durable import sync_folder

CHUNK_BYTES = 2**16
LONGEST_PAUSE_S = 60.0
MB = 1e6

_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server.

    Attributes:
        attempts: in a row that bring nothing new.
        pause_s: before the second of them, twice as long before each further one.
        connect_s: for a connection.
        stall_s: for the next bytes.
    """

    attempts: int = 5
    pause_s: float = 1.0
    connect_s: float = 15.0
    stall_s: float = 60.0


def download(url: str, target: Path, sha256: str | None = None, patience: Patience = Patience()) -> str:
    """Have the file of a URL at ``target``; one that is there is checked, not downloaded again.

    Args:
        url: ``http://`` or ``https://``.
        target: where the file will be; two processes may ask for it at once.
        sha256: what the file must have; None takes it as it comes.
        patience: with the server.

    Returns:
        Hexadecimal SHA-256 of the file.

    Raises:
        DataError: there is no such file, it is another one than expected, the server fails too often, or the
            disk is too small.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")):
        if target.exists():
            return _checked(target, sha256, f"delete {target} to download it again")
        part = _Part(target)
        _Download(url, part, patience).run()
        try:
            digest = _checked(
                part.path,
                sha256,
                f"{url} is another file than the one recorded: use the original one by prepare.mirror, or, "
                "if this is the one you want, remove its entry from data/sets.json",
            )
        except DataError:
            part.discard()
            raise
        part.complete(target)
        return digest


def _checked(path: Path, sha256: str | None, remedy: str) -> str:
    got = sha256_file(path)
    if sha256 not in (None, got):
        raise DataError(f"expected SHA-256 {sha256} of {path.name}, got {got}; {remedy}")
    return got


class _Part:
    """What has arrived of a file, and which version of it that is."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def version(self) -> str | None:
        """As the server names it; None if it does not, or nothing has arrived."""
        try:
            version = read_json(self._note)["version"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return version if isinstance(version, str) else None

    def begin(self, version: str | None) -> None:
        """Forget what has arrived; a version of the file comes from its first byte on."""
        self.discard()
        write_json_atomic(self._note, {"version": version})

    def discard(self) -> None:
        """Forget what has arrived."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def complete(self, target: Path) -> None:
        """All has arrived."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(self.path, target)
        self._note.unlink(missing_ok=True)
        sync_folder(target.parent)


class _AgainError(Exception):
    """An attempt that failed in a way that another one may not."""

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


class _Download:
    """Attempts until all has arrived."""

    def __init__(self, url: str, part: _Part, patience: Patience) -> None:
        self._url, self._part, self._patience = url, part, patience

    def run(self) -> None:
        failures = 0
        while True:
            before = self._part.size
            try:
                return self._attempt()
            except _AgainError as error:
                failures = 1 if self._part.size > before else failures + 1
                if failures >= self._patience.attempts:
                    raise self._failed(f"{error}, {failures} times in a row") from error
                pause_s = max(self._patience.pause_s * 2 ** (failures - 1), error.pause_s)
                time.sleep(min(pause_s, LONGEST_PAUSE_S))

    def _attempt(self) -> None:
        timeout = (self._patience.connect_s, self._patience.stall_s)
        try:
            with requests.get(self._url, headers=self._headers(), stream=True, timeout=timeout) as response:
                self._receive(response)
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ) as error:
            raise _AgainError(_reason(error)) from error
        except requests.RequestException as error:
            raise self._failed(_reason(error)) from error

    def _headers(self) -> dict[str, str]:
        # Compressed on the way, bytes could not be counted.
        headers = {"Accept-Encoding": "identity"}
        version = self._part.version
        if self._part.size and version:
            headers |= {"Range": f"bytes={self._part.size}-", "If-Range": version}
        return headers

    def _receive(self, response: requests.Response) -> None:
        if self._nothing_is_missing(response):
            return
        self._check_status(response)
        if response.status_code == 206:
            self._check_continues(response)
        else:
            self._part.begin(_version(response.headers))
        length = response.headers.get("Content-Length", "")
        total = self._part.size + int(length) if length.isdigit() else None
        check_room(self._part.path.parent, (total or 0) - self._part.size, self._url)
        self._write(response, total)
        if total is not None and self._part.size != total:
            if self._part.size > total:
                self._part.discard()
            raise _AgainError(f"a body of another length than the {total} bytes announced")

    def _nothing_is_missing(self, response: requests.Response) -> bool:
        """Whether a process was killed when all had arrived, so the rest was asked for and is nothing."""
        whole = f"bytes */{self._part.size}"
        return (
            response.status_code == 416
            and response.headers.get("Content-Range") == whole
            and self._part.version is not None
            and _version(response.headers) in (None, self._part.version)
        )

    def _check_status(self, response: requests.Response) -> None:
        status = f"{response.status_code} {response.reason}"
        if response.status_code == 416:  # the file became shorter, or another one
            self._part.discard()
            raise _AgainError(status)
        if response.status_code in _BUSY:
            after = response.headers.get("Retry-After", "")
            raise _AgainError(status, float(after) if after.isdigit() else 0.0)
        if response.status_code not in (200, 206):
            raise self._failed(status)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise self._failed("a web page")

    def _check_continues(self, response: requests.Response) -> None:
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {self._part.size}-")
        if not begins or _version(response.headers) not in (None, self._part.version):
            self._part.discard()
            raise _AgainError("a part that does not continue what has arrived")

    def _write(self, response: requests.Response, total: int | None) -> None:
        size = self._part.size
        label = f"prepare: downloading {self._part.path.stem}"
        shown = Display(label, total=round((total or 0) / MB), done=round(size / MB), unit="MB", rated="MB")
        began, first = time.monotonic(), size
        with shown, full_disk_told(self._part.path.parent, "free some"), self._part.path.open("ab") as file:
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
                file.flush()
                size += len(chunk)
                rate = (size - first) / MB / max(time.monotonic() - began, 1e-6)
                shown.update(round(size / MB), rate=rate)

    def _failed(self, reason: str) -> DataError:
        return DataError(
            f"expected a file at {self._url}, got {reason}; try again later, what has arrived is kept, or "
            "name a copy of it in prepare.mirror"
        )


def _version(headers: Mapping[str, str]) -> str | None:
    """A weak entity tag is no promise about bytes."""
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
