"""Shared memory and the folder for temporary files, where Ray keeps its objects, sockets and logs."""

import os
import shutil
from pathlib import Path

from pipelines.doctor.finding import About, Finding
from pipelines.doctor.sizes import size

ABOUT = About("scratch")

SHARED_MEMORY = Path("/dev/shm")
LEAST_SHARED = 256 * 10**6
"""Docker gives 64 MiB unless told otherwise: too little for Ray's objects and for NCCL."""
LEAST_TEMPORARY = 10**9
FULLEST = 0.95
"""Ray refuses objects on a disk that is fuller."""


def shared_memory(folder: Path = SHARED_MEMORY) -> list[Finding]:
    """Whether /dev/shm is larger than Docker's default."""
    if not folder.is_dir():
        return [ABOUT.warning(f"no {folder} here", "without it Ray keeps objects in slow files")]
    total = shutil.disk_usage(folder).total
    if total < LEAST_SHARED:
        return [
            ABOUT.warning(
                f"{folder} holds {size(total)}: Ray falls back to files, and NCCL between GPUs fails",
                "start the container with --shm-size=8g, or --ipc=host",
            )
        ]
    return [ABOUT.ok(f"{folder} holds {size(total)}")]


def temporary(folder: Path | None = None) -> list[Finding]:
    """Whether Ray's folder has room; ``RAY_TMPDIR``, else /tmp."""
    folder = folder or Path(os.environ.get("RAY_TMPDIR") or "/tmp")
    remedy = "make room there, or export RAY_TMPDIR=/another/folder with a short name"
    if not os.access(folder, os.W_OK):
        return [ABOUT.fault(f"cannot write in {folder}, where Ray keeps its sockets", remedy)]
    usage = shutil.disk_usage(folder)
    full = usage.used / max(1, usage.used + usage.free)
    message = f"{size(usage.free)} free in {folder}, {full:.0%} full"
    if usage.free < LEAST_TEMPORARY or full > FULLEST:
        return [ABOUT.warning(f"{message}: Ray stores nothing on a disk that is 95 % full", remedy)]
    return [ABOUT.ok(message)]
