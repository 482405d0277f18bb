"""Experiment tracking: the only module that imports MLflow.

By default everything goes to one SQLite file in the *main* work tree, whose absolute path is the same
for a stage, for ``dvc exp run``'s temporary copies and for git's other work trees;
``MLFLOW_TRACKING_URI`` names a server instead. Tracking never fails a run: the first fault is told in
one line and the run goes on, since its log is on disk.
"""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipelines.errors import PipelineError

EXPERIMENT = "tunable-zoo"
PUBLISHED = "published"
"""Alias of the newest version of a registered model; ``latest`` is a word that MLflow keeps to itself."""


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
    """Where runs are tracked: ``MLFLOW_TRACKING_URI``, or the SQLite file of the main work tree."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{main_work_tree(root)}/mlflow.db"


class Tracker:
    """One MLflow run, written by one process.

    Args:
        root: of the work tree.
        name: of the run, when it is new.
        run_id: of a run to go on with, if the server still has it.
        tags: of a new run.
    """

    def __init__(
        self, root: Path, name: str, run_id: str | None = None, tags: Mapping[str, str] | None = None
    ) -> None:
        self.run_id = ""
        self._broken = False
        self._client: Any = None
        _require_mlflow()
        self._try(lambda: self._open(root, name, run_id, dict(tags or {})))

    def _open(self, root: Path, name: str, run_id: str | None, tags: dict[str, str]) -> None:
        self._client = _client(root)
        experiment = _experiment(self._client, root)
        if run_id is None or not self._known(run_id):
            run_id = self._client.create_run(experiment, run_name=name, tags=tags).info.run_id
        self._client.update_run(run_id, status="RUNNING")
        self.run_id = str(run_id)

    def _known(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            return bool(self._client.get_run(run_id).info.lifecycle_stage == "active")
        except MlflowException:
            return False

    def params(self, values: Mapping[str, Any]) -> None:
        """Log nested options by dotted name."""
        self._try(lambda: self._params(values))

    def _params(self, values: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        flat = [Param(key, str(value)) for key, value in _flatten(values)]
        self._client.log_batch(self.run_id, params=flat)

    def metrics(self, points: list[tuple[int, Mapping[str, float]]]) -> None:
        """Log metrics of steps, in few calls."""
        self._try(lambda: self._metrics(points))

    def _metrics(self, points: list[tuple[int, Mapping[str, float]]]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        all_ = [Metric(name, float(v), now, step) for step, values in points for name, v in values.items()]
        for start in range(0, len(all_), 1000):  # the server's limit a call
            self._client.log_batch(self.run_id, metrics=all_[start : start + 1000])

    def summary(self, values: Mapping[str, Any], step: int) -> None:
        """Log the numbers among nested values, by dotted name."""
        numbers = {
            k: v for k, v in _flatten(values) if isinstance(v, (int, float)) and not isinstance(v, bool)
        }
        self.metrics([(step, numbers)])

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Log a file, or a folder with all in it."""
        log = "log_artifacts" if path.is_dir() else "log_artifact"
        self._try(lambda: getattr(self._client, log)(self.run_id, str(path), folder))

    def register(self, name: str, folder: Path) -> str:
        """Register a folder as a model version with the alias ``published``; its number, or ''.

        Args:
            name: of the registered model.
            folder: named by its version, which becomes the tag ``zoo_version``.
        """
        place = f"entry/{folder.name}"  # one run may publish several entries
        self.artifact(folder, place)
        return str(self._try(lambda: self._register(name, place, {"zoo_version": folder.name})) or "")

    def _register(self, name: str, place: str, tags: dict[str, str]) -> str:
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_registered_model(name)
        except MlflowException:
            self._client.create_registered_model(name)
        source = f"{self._client.get_run(self.run_id).info.artifact_uri}/{place}"
        version = self._client.create_model_version(name, source, run_id=self.run_id, tags=tags).version
        self._client.set_registered_model_alias(name, PUBLISHED, version)
        return str(version)

    def finish(self, status: str = "FINISHED") -> None:
        """End the run as FINISHED, FAILED or KILLED."""
        self._try(lambda: self._client.set_terminated(self.run_id, status))

    def _try(self, action: Callable[[], Any]) -> Any:
        if self._broken:
            return None
        try:
            return action()
        except Exception as error:  # any fault of a server or a database: the run is worth more
            self._broken = True
            print(f"tracking stopped: {type(error).__name__}: {error}; the run goes on", file=sys.stderr)
            return None


def _require_mlflow() -> None:
    if find_spec("mlflow") is None:
        raise PipelineError("mlflow is missing: pip install 'tunable-zoo[pipelines]'")


def _client(root: Path) -> Any:
    from mlflow import MlflowClient

    # The first contact with a new SQLite file logs every migration.
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri(root))


def _experiment(client: Any, root: Path) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    local = tracking_uri(root).startswith("sqlite:")
    artifacts = (main_work_tree(root) / "mlartifacts").as_uri() if local else None
    return str(client.create_experiment(EXPERIMENT, artifact_location=artifacts))


def _flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in values.items():
        inner = isinstance(value, Mapping)
        flat += _flatten(value, f"{prefix}{key}.") if inner else [(f"{prefix}{key}", value)]
    return flat
