"""Resumable HTTP downloads, verified by SHA-256.

What has arrived of a file is kept in ``<name>.part``; beside it, ``<name>.part.json`` holds the server's
version of the file (its ETag or date) and its length. A later attempt continues there only if the server
still offers that version (RFC 9110, section 13.1.5, https://www.rfc-editor.org/rfc/rfc9110#name-if-range).
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests
from filelock import FileLock
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import MaxRetryError
from urllib3.util import Retry

from zoo import strict_json
from zoo.durable import replace_file, sync_folder
from zoo.errors import FetchError, ManifestError
from zoo.remote.offline import require_online

CHUNK_BYTES = 2**16

OnBytes = Callable[[int, int | None], None]
"""Called before and behind each part of a file: bytes that have arrived, and of how many, if known."""

TIMEOUT_S = (15.0, 60.0)
"""For a connection, and for the next bytes."""

LONGEST_PAUSE_S = 60.0


class CappedRetry(Retry):
    """Retries that wait at most a minute, even if a server asks for more."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Seconds that the server asks to wait, up to the limit."""
        after = super().get_retry_after(response)
        return None if after is None else min(after, LONGEST_PAUSE_S)


RETRY = CappedRetry(
    total=4,  # in a row that bring no new bytes
    backoff_factor=1.0,
    backoff_max=LONGEST_PAUSE_S,
    status_forcelist=(408, 425, 429, 500, 502, 503, 504),
    raise_on_status=False,
)


def download(
    url: str,
    target: Path,
    sha256: str | None = None,
    *,
    nbytes: int | None = None,
    on_bytes: OnBytes = lambda done, total: None,
    retry: Retry = RETRY,
    timeout_s: tuple[float, float] = TIMEOUT_S,
) -> str:
    """Download a URL to ``target``; an existing file is verified, not downloaded again.

    Args:
        url: ``http://`` or ``https://``.
        target: the file; several processes may download it at once.
        sha256: digest that the file must have; None accepts any.
        nbytes: size that the file must have, if it is known; no more is received.
        on_bytes: called as the file arrives.
        retry: how often to try again, and when.
        timeout_s: as :data:`TIMEOUT_S`.

    Returns:
        Hexadecimal SHA-256 of the file.

    Raises:
        FetchError: there is no such file, it is another one, the server fails too often, or the disk is too
            small; what has arrived is kept where it can be of use.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")):
        if target.exists():
            return _verify_sha256(target, sha256, f"delete {target} to download it again")
        part = _PartialFile(target, nbytes)
        if not part.is_complete:
            require_online(url)
            _receive_all(url, part, on_bytes, retry, timeout_s, is_known=sha256 is not None)
        try:
            digest = _verify_sha256(part.path, sha256, f"{url} is another file than the one recorded")
        except FetchError:
            part.discard()
            raise
        part.rename_to(target)
        return digest


def check_free_space(folder: Path, nbytes: int, what: str) -> None:
    """Check that so many bytes are free on the disk of an existing folder; ``what`` names the data.

    Raises:
        FetchError: less is free.
    """
    free = shutil.disk_usage(folder).free
    if free < nbytes:
        raise FetchError(
            f"expected {nbytes / 1e6:.0f} MB free for {what} in {folder}, got {free / 1e6:.0f} MB; free some"
        )


# pipelines.core.errors has the like of these two for its own errors: it cannot use them, because its commands
# start without this package, whose import brings torch.
@contextmanager
def explain_full_disk(folder: Path) -> Iterator[None]:
    """Turn a full disk or quota, in a block that writes into ``folder``, into a FetchError."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise FetchError(f"expected room to write in {folder}, got: {error.strerror}; free some") from error


class _PartialFile:
    """The bytes of a file that have arrived, and which version of the file they belong to."""

    def __init__(self, target: Path, nbytes: int | None) -> None:
        self.nbytes = nbytes
        self.path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def version(self) -> str | None:
        """As the server names it; None if it does not, or nothing has arrived."""
        version = self._read_note().get("version")
        return version if isinstance(version, str) else None

    @property
    def is_complete(self) -> bool:
        """Whether a process was stopped between the last byte and the renaming."""
        return self.path.exists() and self._read_note().get("nbytes") == self.size

    def begin(self, version: str | None, nbytes: int | None) -> None:
        """Discard what has arrived and start with this version."""
        self.discard()
        replace_file(self._note, strict_json.encode_json({"version": version, "nbytes": nbytes}))

    def discard(self) -> None:
        """Remove what has arrived."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def rename_to(self, target: Path) -> None:
        """Give the complete file its name, durably."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(self.path, target)
        self._note.unlink(missing_ok=True)
        sync_folder(target.parent)

    def _read_note(self) -> dict[str, object]:
        try:
            return dict(strict_json.read_json(self._note))
        except (ManifestError, ValueError, TypeError):
            return {}


def _receive_all(
    url: str,
    part: _PartialFile,
    on_bytes: OnBytes,
    retry: Retry,
    timeout_s: tuple[float, float],
    *,
    is_known: bool,
) -> None:
    """Request the rest of a file until all has arrived; requests retries what fails before the body."""
    left = retry
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        while True:
            # Compressed in transit, bytes could not be counted.
            headers = {"Accept-Encoding": "identity"}
            if (begin := part.size) and part.version:
                headers |= {"Range": f"bytes={begin}-", "If-Range": part.version}
            try:
                response = session.get(url, headers=headers, stream=True, timeout=timeout_s)
            except requests.RequestException as error:
                raise _unavailable(url, error) from error
            try:
                with response:
                    return _receive_body(response, url, part, on_bytes, is_known=is_known)
            except requests.RequestException as error:
                left = _count_failure(retry if part.size > begin else left, url, error)
            left.sleep()


def _receive_body(
    response: requests.Response, url: str, part: _PartialFile, on_bytes: OnBytes, *, is_known: bool
) -> None:
    status, version = response.status_code, _version_of(response.headers)
    length = response.headers.get("Content-Length", "")
    nbytes = int(length) if length.isdigit() else None
    if status == 200:
        if not is_known and response.headers.get("Content-Type", "").startswith("text/html"):
            raise _unavailable(url, "a web page")
        part.begin(version, nbytes)
    elif status == 206:
        place = response.headers.get("Content-Range", "")
        if not place.startswith(f"bytes {part.size}-") or version not in (None, part.version):
            part.discard()
            raise requests.ConnectionError("a part that does not continue what has arrived")
    elif status == 416:  # the file became shorter, or another one
        part.discard()
        raise requests.ConnectionError(f"{status} {response.reason}")
    else:
        raise _unavailable(url, f"{status} {response.reason}")
    done, total = part.size, part.nbytes if nbytes is None else part.size + nbytes
    if part.nbytes not in (None, total):
        part.discard()
        raise _unavailable(url, f"{total} bytes where {part.nbytes} were promised")
    check_free_space(part.path.parent, 0 if total is None else total - done, url)
    with explain_full_disk(part.path.parent), part.path.open("ab") as file:
        on_bytes(done, total)
        for chunk in response.iter_content(CHUNK_BYTES):
            done += len(chunk)
            if part.nbytes is not None and done > part.nbytes:
                raise _unavailable(url, f"more than the {part.nbytes} bytes that were promised")
            file.write(chunk)
            file.flush()
            on_bytes(done, total)
    if total is not None and done < total:  # a server that names no length, and hangs up
        raise requests.ConnectionError(f"{done} of {total} bytes")


def _count_failure(left: Retry, url: str, error: Exception) -> Retry:
    try:
        return left.increment("GET", url, error=error)
    except MaxRetryError:
        raise _unavailable(url, error) from error


def _version_of(headers: Mapping[str, str]) -> str | None:
    tag = headers.get("ETag", "")
    # A weak entity tag promises the same meaning, not the same bytes.
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _verify_sha256(path: Path, sha256: str | None, remedy: str) -> str:
    with path.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 not in (None, got):
        raise FetchError(f"expected SHA-256 {sha256} of {path.name}, got {got}; {remedy}")
    return got


def _unavailable(url: str, reason: str | Exception) -> FetchError:
    if isinstance(reason, Exception):
        reason = f"{type(reason).__name__}: {' '.join(str(reason).split())}"
    return FetchError(f"expected a file at {url}, got {reason}; try again later: it goes on where it ended")
