"""Provenance of a result: facts that differ from run to run, on which nothing depends."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

OURS = (".", ":!dvc.lock", ":!metrics")
"""Paths that can make a work tree dirty: all but those that a run itself writes."""


def provenance(root: Path) -> dict[str, str]:
    """Time, commit, platform and library versions; 'unknown' where one cannot be determined.

    In ``dvc exp run`` also the name of the experiment.
    """
    git, experiment = describe_git(root), os.environ.get("DVC_EXP_NAME")
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": git["commit"],
        "git_dirty": git["dirty"],
        **({"dvc_experiment": experiment} if experiment else {}),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: _find_version(name) for name in ("torch", "ray", "tunable-zoo")},
    }


def describe_git(root: Path) -> dict[str, str]:
    """``commit``, ``branch``, ``url`` of the remote, and whether it is ``dirty``: 'yes' or 'no'.

    'unknown' where one cannot be determined; a detached head has the branch ``HEAD``.
    """
    changes = _run_git(root, "status", "--porcelain", "--", *OURS)
    return {
        "commit": _run_git(root, "rev-parse", "HEAD"),
        "branch": _run_git(root, "rev-parse", "--abbrev-ref", "HEAD"),
        "url": _run_git(root, "remote", "get-url", "origin"),
        "dirty": {"": "no", "unknown": "unknown"}.get(changes, "yes"),
    }


def _run_git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def _find_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
