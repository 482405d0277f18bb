"""Where runs are tracked.

By default everything goes to one SQLite file in the *main* work tree, whose absolute path is the same
for a stage, for ``dvc exp run``'s temporary copies and for git's other work trees;
``MLFLOW_TRACKING_URI`` names a server instead.
"""

import os
import re
import subprocess
from pathlib import Path


def main_work_tree(root: Path) -> Path:
    """The work tree a person works in, when ``root`` may be a temporary copy of it."""
    for folder in (root, *root.parents):  # dvc exp run --temp and --queue
        if folder.name == "exps" and folder.parent.name == "tmp" and folder.parents[1].name == ".dvc":
            return folder.parents[2]
    command = ["git", "-C", str(root), "rev-parse", "--path-format=absolute", "--git-common-dir"]
    try:
        common = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    except (OSError, subprocess.CalledProcessError):
        return root
    return common.parent if common.name == ".git" else root


def tracking_uri(root: Path) -> str:
    """Where runs are tracked: ``MLFLOW_TRACKING_URI``, or the SQLite file of the main work tree.

    It may hold a password: :func:`shown_uri` is the form to print.
    """
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{main_work_tree(root)}/mlflow.db"


def shown_uri(root: Path) -> str:
    """Where runs are tracked, without the user and the password that an address may hold."""
    return without_secrets(tracking_uri(root))


def without_secrets(text: str) -> str:
    """The text, ``***`` in place of the user and the password of every address in it."""
    return re.sub(r"(?<=://)[^\s/'\"]*@", "***@", text)
