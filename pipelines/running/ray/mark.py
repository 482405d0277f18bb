"""Whether a worker's node sees the driver's folder: the driver leaves a mark there, and each worker reads it.

A worker makes the folders it needs. On a node that does not share the driver's disk it would train to the
end on its own, and the driver would find nothing.
"""

import platform
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from pipelines.core.errors import TrainingError
from pipelines.core.records import write_atomic

FILE = "mark"

VISIBLE_WITHIN_S = 5.0
"""A file that another node wrote shows up late on NFS, which remembers what was not there."""
LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Mark:
    """A file with a word in it that nobody else knows.

    Attributes:
        folder: in which it lies, as the driver names it.
        word: what the file says.
    """

    folder: str
    word: str

    @classmethod
    def leave(cls, folder: Path) -> Self:
        """A new one, in a folder that is made if need be; who removes the folder removes the mark."""
        mark = cls(str(folder), secrets.token_hex(16))
        write_atomic(folder / FILE, mark.word.encode())
        return mark

    def plain(self) -> dict[str, Any]:
        """As builtin types, for other processes."""
        return asdict(self)

    def require(self) -> None:
        """Read the mark from the node of the caller.

        Raises:
            TrainingError: it is not there, says something else or cannot be read, for ``VISIBLE_WITHIN_S``.
        """
        until = time.monotonic() + VISIBLE_WITHIN_S
        while trouble := self._trouble():
            if time.monotonic() > until:
                raise TrainingError(
                    f"expected node {platform.node()} to see the driver's folder {self.folder}, got: "
                    f"{trouble}; put the work tree on storage that every node mounts at the same path "
                    "('tunable doctor' checks it)"
                )
            time.sleep(LOOK_EVERY_S)

    def _trouble(self) -> str:
        try:
            word = (Path(self.folder) / FILE).read_bytes()
        except OSError as error:
            return f"{error.strerror or error}"
        return "" if word == self.word.encode() else "another file"
