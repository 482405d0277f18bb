"""What the doctor runs on a node of a cluster: does it see the work tree, and is it the same software?"""

import platform
import socket
from importlib.metadata import version
from pathlib import Path

from pipelines.running.fingerprint import code_digest

MARKER = "marker"


def software() -> dict[str, str]:
    """Versions of what computes, and a digest of the training code; by name."""
    return {
        "Python": platform.python_version(),
        "torch": version("torch"),
        "tunable-zoo": version("tunable-zoo"),
        "training code": code_digest()[:12],
    }


def look(folder: str, content: str, node: str) -> dict[str, str]:
    """Read the marker, write one back, and tell the software.

    Args:
        folder: holds the marker, on storage that all nodes share.
        content: that the marker must have.
        node: its id; names the file that is written back.

    Returns:
        ``host``; ``trouble``, empty if the marker was seen and answered; and :func:`software`.
    """
    return {"host": socket.gethostname(), "trouble": _trouble(Path(folder), content, node), **software()}


def _trouble(folder: Path, content: str, node: str) -> str:
    try:
        if (folder / MARKER).read_text(encoding="utf-8") != content:
            return f"{folder / MARKER} holds something else there"
        (folder / node).write_text(content, encoding="utf-8")
    except OSError as error:
        return f"{error.strerror or error}: {error.filename or folder}"
    return ""
