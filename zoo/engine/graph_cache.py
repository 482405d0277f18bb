"""Cache of exported graphs: a file for each entry in the user's own cache folder.

A file holds a SHA-256 and a graph without weights. The hash covers the entry's digest, the versions of what
made the graph and the graph, so that a file that is damaged, cut short or another entry's is as good as none.
It is no signature: files are read only if no other user than this one and root can have written them. The
folder may be removed at any time; what it held is made again.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import tunable_models
from zoo import strict_json
from zoo.durable import replace_file
from zoo.manifest import Manifest, content_version
from zoo.remote.cache import cache_root

MAKERS = ("torch", "onnx", "onnx-ir", "onnxscript")
"""Distributions that decide what a graph looks like."""

MAX_BYTES = 64 * 2**20
"""Of a file that is read; those of the largest published networks have two percent of it."""

_SCHEMA = 1
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_DIGEST_BYTES = 32


@dataclass(frozen=True)
class KeptGraph:
    """The cache file of one entry's graph, present or not.

    Attributes:
        path: the file.
        key: what the graph depends on.
    """

    path: Path
    key: bytes

    @classmethod
    def of(cls, manifest: Manifest) -> "KeptGraph":
        """The place for an entry's graph, as the packages that are installed here make it."""
        versions = {name: version(name) for name in MAKERS}
        digest = content_version(manifest)
        key = {"schema": _SCHEMA, "entry": digest, "versions": versions, "code": _code_digest()}
        data = strict_json.encode_json(key)
        name = f"{digest}-{hashlib.sha256(data).hexdigest()[:16]}.graph"
        return cls(cache_folder() / name, data)

    def read(self) -> bytes | None:
        """The graph; None if there is none, or none to be trusted."""
        try:
            if not _is_ours(self.path.parent.lstat(), stat.S_ISDIR):
                return None
            # Without following a link, and looked at once it is open: a name can change hands in between.
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            with os.fdopen(descriptor, "rb") as file:
                if not _is_ours(os.fstat(descriptor), stat.S_ISREG):
                    return None
                data = file.read(MAX_BYTES + 1)
        except OSError:
            return None
        digest, model = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        return model if len(data) <= MAX_BYTES and digest == self._digest(model) else None

    def write(self, model: bytes) -> None:
        """Keep a graph; a reader sees a whole file or none.

        Raises:
            OSError: the folder cannot be made or written.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self.path, self._digest(model) + model)
        self.path.chmod(0o600)  # whatever the umask lets others write would not be read again

    def _digest(self, model: bytes) -> bytes:
        return hashlib.sha256(self.key + b"\n" + model).digest()


def cache_folder() -> Path:
    """The folder of graphs, in ``$TUNABLE_ZOO_CACHE`` or the platform's cache of this user."""
    return cache_root() / "graphs"


@cache
def _code_digest() -> str:
    """Of the sources that make a graph, which change without a version while they are worked on."""
    package = Path(tunable_models.__file__).parent
    makers = [Path(__file__).with_name("graph.py"), package / "export.py", package / "export_check.py"]
    return _hash_files([*makers, *sorted((package / "architectures").glob("*.py"))])


def _hash_files(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _is_ours(status: os.stat_result, of_kind: Callable[[int], bool]) -> bool:
    """Whether it is of the expected kind, and no other user can have written it."""
    if not of_kind(status.st_mode):
        return False
    if not hasattr(os, "getuid"):  # on Windows the user's folders are closed to others by their lists
        return True
    return status.st_uid in (os.getuid(), 0) and not status.st_mode & _WRITABLE_BY_OTHERS
