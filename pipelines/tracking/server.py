"""The door to the tracking server: the only module that imports MLflow, and where the server is.

By default everything goes to one SQLite file in the *main* work tree, whose absolute path is the same for a
stage, for ``dvc exp run``'s temporary copies and for git's other work trees; ``MLFLOW_TRACKING_URI`` names a
server instead.

Every call is idempotent: a run is found again by its key, and a parameter, a point of a curve or a file that
is already there is not added again. So a client that was interrupted repeats the call.
"""

import logging
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.core.errors import PipelineError
from pipelines.core.layout import find_main_work_tree

EXPERIMENT = "tunable-zoo"
PUBLISHED = "published"
"""Alias of the newest version of a registered model; MLflow reserves ``latest``."""
KEY = "tunable.key"
"""Tag with a run's key, by which it is found when its id was not recorded."""
PARENT = "mlflow.parentRunId"

BOUNDS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the caller retries, and can be stopped in between
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""MLflow's own defaults are minutes a call. Read at every call; values set by the user stay."""
METRICS_A_CALL = 1000
PARAMS_A_CALL = 100


class TrackingError(PipelineError, RuntimeError):
    """The server is unreachable, too slow or has a fault: worth a retry."""


class RefusedError(TrackingError):
    """The server rejected the request, and would do so again."""


class UnknownRunError(TrackingError):
    """The server answers and does not have the run: another database, or the run was deleted."""


class Value(NamedTuple):
    """One point of one curve."""

    name: str
    value: float
    time_ms: int
    step: int


class Server:
    """MLflow, as far as the pipeline uses it; connects at the first call.

    Every method raises TrackingError if the call fails, RefusedError if it would fail again, and
    UnknownRunError if the server does not have the run.

    Args:
        root: of the work tree.

    Raises:
        PipelineError: MLflow is not installed.
    """

    def __init__(self, root: Path) -> None:
        for name, value in BOUNDS.items():
            os.environ.setdefault(name, value)
        # Not at the first call, which may be in a thread, concurrent with imports of the same packages.
        try:
            from mlflow import MlflowClient
        except ImportError as error:
            raise PipelineError("mlflow is missing: pip install 'tunable-zoo[pipelines]'") from error
        self._connect: Any = MlflowClient
        self._root = root
        self._opened: Any = None

    def claim(self, key: str, name: str, tags: Mapping[str, str], started_ms: int | None = None) -> str:
        """The id of the run with this key, which is created if needed; the caller holds the key's lock."""
        with self._translated_errors():
            experiment = self._experiment()
            for run in self._client.search_runs([experiment], f"tags.`{KEY}` = '{key}'"):
                return str(run.info.run_id)
            made = self._client.create_run(experiment, started_ms, {**tags, KEY: key}, name)
            return str(made.info.run_id)

    def has(self, run_id: str) -> bool:
        """Whether the server has the run, not deleted."""
        try:
            with self._translated_errors():
                return run_id != "" and bool(self._client.get_run(run_id).info.lifecycle_stage == "active")
        except UnknownRunError:
            return False

    def params(self, run_id: str, values: Mapping[str, str]) -> None:
        """Log options by dotted name."""
        from mlflow.entities import Param

        all_ = [Param(_clean_name(key), value) for key, value in values.items()]
        with self._translated_errors():
            for start in range(0, len(all_), PARAMS_A_CALL):
                self._client.log_batch(run_id, params=all_[start : start + PARAMS_A_CALL])

    def values(self, run_id: str, values: Iterable[Value]) -> None:
        """Log points of curves; non-finite values become NaN.

        A database has no infinity: MLflow would store 1.8e308, beside which a curve is a flat line.
        """
        from mlflow.entities import Metric

        all_ = [
            Metric(_clean_name(v.name), v.value if math.isfinite(v.value) else math.nan, v.time_ms, v.step)
            for v in values
        ]
        with self._translated_errors():
            for start in range(0, len(all_), METRICS_A_CALL):
                self._client.log_batch(run_id, metrics=all_[start : start + METRICS_A_CALL])

    def file(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Upload a file into that folder of the run's artefacts."""
        with self._translated_errors():
            self._client.log_artifact(run_id, str(path), folder)

    def register(self, run_id: str, name: str, place: str, zoo_version: str) -> str:
        """Register a folder of the run as a model version and give it the alias; its number."""
        tags = {"zoo_version": zoo_version}
        with self._translated_errors():
            if not self._client.search_registered_models(f"name = '{name}'"):
                self._client.create_registered_model(name)
            known = self._client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
            numbers = [version.version for version in known if version.tags.get("zoo_version") == zoo_version]
            if not numbers:
                source = f"{self._client.get_run(run_id).info.artifact_uri}/{place}"
                made = self._client.create_model_version(name, source, run_id=run_id, tags=tags)
                numbers = [made.version]
            self._client.set_registered_model_alias(name, PUBLISHED, numbers[0])
            return str(numbers[0])

    def resume(self, run_id: str) -> None:
        """Mark the run as running."""
        with self._translated_errors():
            self._client.update_run(run_id, status="RUNNING")

    def end(self, run_id: str, status: str, time_ms: int | None = None) -> None:
        """Mark the run as FINISHED, FAILED or KILLED, since that time."""
        with self._translated_errors():
            self._client.set_terminated(run_id, status, time_ms)

    @property
    def _client(self) -> Any:
        if self._opened is None:
            # The first connection to a new SQLite file logs every migration.
            for name in ("alembic", "mlflow"):
                logging.getLogger(name).setLevel(logging.WARNING)
            self._opened = self._connect(tracking_uri(self._root))
        return self._opened

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        local = tracking_uri(self._root).startswith("sqlite:")
        artifacts = (find_main_work_tree(self._root) / "mlartifacts").as_uri() if local else None
        return str(self._client.create_experiment(EXPERIMENT, artifact_location=artifacts))

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # any error of a server, a database or a file system
            raise _translate_error(error, shown_uri(self._root)) from error


def tracking_uri(root: Path) -> str:
    """Address of the tracking server; it may hold a password, see :func:`shown_uri`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{find_main_work_tree(root)}/mlflow.db"


def shown_uri(root: Path) -> str:
    """Address of the tracking server without user and password, for printing."""
    return redact_credentials(tracking_uri(root))


def redact_credentials(text: str) -> str:
    """The text, with ``***`` in place of user and password in every address."""
    return re.sub(r"(?<=://)[^\s/'\"]*@", "***@", text)


def _clean_name(name: str) -> str:
    """The name without characters that MLflow refuses."""
    return re.sub(r"[^\w\-. :/]", "_", name)


def _translate_error(error: Exception, address: str) -> TrackingError:
    code = getattr(error, "error_code", "")
    status = getattr(getattr(error, "response", None), "status_code", None)
    text = redact_credentials(" ".join(str(error).split()))
    short = text[:300]
    if code == "RESOURCE_DOES_NOT_EXIST":
        return UnknownRunError(f"{address} does not have the run: {short}")
    if code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST") or status in (400, 413):
        return RefusedError(f"{address} rejected the request: {short}")
    if "timed out" in text:
        return TrackingError(f"{address} did not answer within {os.environ[next(iter(BOUNDS))]} s")
    if failed := re.search(r"too many (\d+) error responses", text):
        return TrackingError(f"{address} answers {failed[1]}")
    if "Max retries exceeded" in text or "Connection aborted" in text:
        cause = re.search(r"Caused by (\w+)", text)
        return TrackingError(f"{address} is unreachable ({cause[1] if cause else 'connection closed'})")
    return TrackingError(f"{address}: {type(error).__name__}: {short}")
