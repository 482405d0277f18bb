"""What a run is labelled with: who started it, from which commit, in which DVC experiment.

The names are those that MLflow's own clients write, so that its pages show them where their users look.
"""

import getpass
import os
from pathlib import Path

from pipelines.core.provenance import describe_git
from pipelines.tracking.server import redact_credentials

EXPERIMENT_NAME = "MLFLOW_EXPERIMENT_NAME"
RUN_NAME = "MLFLOW_RUN_NAME"


def choose_run_name(default: str) -> str:
    """The name that the environment gives, or the default."""
    return os.environ.get(RUN_NAME) or default


def describe_context(root: Path, command: str) -> dict[str, str]:
    """Tags of a run that starts here and now; what is unknown is left out.

    Args:
        root: of the work tree.
        command: that runs, such as ``tunable run train``.
    """
    git = describe_git(root)
    tags = {
        "mlflow.user": _find_user(),
        "mlflow.source.name": command,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": git["commit"],
        "mlflow.source.git.branch": git["branch"],
        "mlflow.source.git.repoURL": redact_credentials(git["url"]),
        "mlflow.source.git.dirty": {"yes": "true", "no": "false"}.get(git["dirty"], ""),
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
    }
    return {name: value for name, value in tags.items() if value not in ("", "unknown")}


def _find_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        return ""
