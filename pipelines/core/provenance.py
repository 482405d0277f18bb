"""Where a result came from: what differs from run to run, and nothing depends on."""

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

OURS = (".", ":!dvc.lock", ":!metrics")
"""What can make a work tree dirty: all but what a run itself writes."""


def provenance(root: Path) -> dict[str, str]:
    """Time, commit, kind of machine and library versions; 'unknown' where something cannot be asked."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": _git(root, "rev-parse", "HEAD"),
        "git_dirty": {"": "no", "unknown": "unknown"}.get(
            _git(root, "status", "--porcelain", "--", *OURS), "yes"
        ),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "ray", "tunable-zoo")},
    }


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
