"""The tracking server: the only module that imports MLflow.

Everything may be said twice: a run is found again by its key, a parameter, a point of a curve or a file
that is there already is no second one. So whoever was interrupted says it again.
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
from pipelines.tracking.errors import ForgottenError, RefusedError, TrackingError
from pipelines.tracking.place import main_work_tree, shown_uri, tracking_uri, without_secrets

EXPERIMENT = "tunable-zoo"
PUBLISHED = "published"
"""Alias of the newest version of a registered model; ``latest`` is a word that MLflow keeps to itself."""
KEY = "tunable.key"
"""Tag that holds a run's key: how it is found when its id was never written down."""
PARENT = "mlflow.parentRunId"

BOUNDS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # who calls tries again, and can be told to stop
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""MLflow's own defaults are minutes a call. Read at every call; what the user has set stays."""
METRICS_A_CALL = 1000
PARAMS_A_CALL = 100


class Value(NamedTuple):
    """One point of one curve."""

    name: str
    value: float
    time_ms: int
    step: int


class Server:
    """MLflow, as far as the pipeline uses it; connects when first asked.

    Every method raises TrackingError if the server does not do it, RefusedError if it never will, and
    ForgottenError if it has no such run.

    Args:
        root: of the work tree.

    Raises:
        PipelineError: MLflow is not installed.
    """

    def __init__(self, root: Path) -> None:
        for name, value in BOUNDS.items():
            os.environ.setdefault(name, value)
        # Here, and not when first asked: that may be in a thread, beside imports of the same packages.
        try:
            from mlflow import MlflowClient
        except ImportError as error:
            raise PipelineError("mlflow is missing: pip install 'tunable-zoo[pipelines]'") from error
        self._connect: Any = MlflowClient
        self._root = root
        self._opened: Any = None

    def claim(self, key: str, name: str, tags: Mapping[str, str], started_ms: int | None = None) -> str:
        """The id of the run with this key, made if there is none; whoever asks holds the key's lock."""
        with self._asked():
            experiment = self._experiment()
            for run in self._client.search_runs([experiment], f"tags.`{KEY}` = '{key}'"):
                return str(run.info.run_id)
            made = self._client.create_run(experiment, started_ms, {**tags, KEY: key}, name)
            return str(made.info.run_id)

    def has(self, run_id: str) -> bool:
        """Whether the run is there, and not deleted."""
        try:
            with self._asked():
                return run_id != "" and bool(self._client.get_run(run_id).info.lifecycle_stage == "active")
        except ForgottenError:
            return False

    def params(self, run_id: str, values: Mapping[str, Any]) -> None:
        """Log nested options by dotted name."""
        from mlflow.entities import Param

        all_ = [Param(_name(key), str(value)) for key, value in flatten(values)]
        with self._asked():
            for start in range(0, len(all_), PARAMS_A_CALL):
                self._client.log_batch(run_id, params=all_[start : start + PARAMS_A_CALL])

    def values(self, run_id: str, values: Iterable[Value]) -> None:
        """Log points of curves; not a number and infinite are both shown as not a number.

        A database has no infinity: MLflow would keep 1.8e308, beside which a curve is a flat line.
        """
        from mlflow.entities import Metric

        all_ = [
            Metric(_name(v.name), v.value if math.isfinite(v.value) else math.nan, v.time_ms, v.step)
            for v in values
        ]
        with self._asked():
            for start in range(0, len(all_), METRICS_A_CALL):
                self._client.log_batch(run_id, metrics=all_[start : start + METRICS_A_CALL])

    def file(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Keep a file, or a folder with all in it, below that folder of the run's artefacts."""
        with self._asked():
            log = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
            log(run_id, str(path), folder)

    def register(self, run_id: str, name: str, place: str, zoo_version: str) -> str:
        """The number of the model version that is this folder of the run; it gets the alias."""
        tags = {"zoo_version": zoo_version}
        with self._asked():
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

    def go_on(self, run_id: str) -> None:
        """Say that the run is at work."""
        with self._asked():
            self._client.update_run(run_id, status="RUNNING")

    def end(self, run_id: str, status: str, time_ms: int | None = None) -> None:
        """Say that the run is FINISHED, FAILED or KILLED, and since when."""
        with self._asked():
            self._client.set_terminated(run_id, status, time_ms)

    @property
    def _client(self) -> Any:
        if self._opened is None:
            # The first contact with a new SQLite file logs every migration.
            for name in ("alembic", "mlflow"):
                logging.getLogger(name).setLevel(logging.WARNING)
            self._opened = self._connect(tracking_uri(self._root))
        return self._opened

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        local = tracking_uri(self._root).startswith("sqlite:")
        artifacts = (main_work_tree(self._root) / "mlartifacts").as_uri() if local else None
        return str(self._client.create_experiment(EXPERIMENT, artifact_location=artifacts))

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever a server, a database or a file system comes up with
            raise _translated(error, shown_uri(self._root)) from error


def flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested values by dotted name."""
    flat: list[tuple[str, Any]] = []
    for key, value in values.items():
        inner = isinstance(value, Mapping)
        flat += flatten(value, f"{prefix}{key}.") if inner else [(f"{prefix}{key}", value)]
    return flat


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among nested values, by dotted name; true and false are none."""
    flat = flatten(values)
    return {k: float(v) for k, v in flat if isinstance(v, (int, float)) and not isinstance(v, bool)}


def _name(name: str) -> str:
    """A name as MLflow takes it."""
    return re.sub(r"[^\w\-. :/]", "_", name)


def _translated(error: Exception, address: str) -> TrackingError:
    code, status = getattr(error, "error_code", ""), _status(error)
    text = without_secrets(" ".join(str(error).split()))
    short = text[:300]
    if code == "RESOURCE_DOES_NOT_EXIST":
        return ForgottenError(f"{address} has no such run: {short}")
    if code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST") or status in (400, 413):
        return RefusedError(f"{address} refuses it: {short}")
    if "timed out" in text:
        return TrackingError(f"{address} does not answer within {os.environ[next(iter(BOUNDS))]} s")
    if failed := re.search(r"too many (\d+) error responses", text):
        return TrackingError(f"{address} answers {failed[1]}")
    if "Max retries exceeded" in text or "Connection aborted" in text:
        cause = re.search(r"Caused by (\w+)", text)
        return TrackingError(f"{address} cannot be reached ({cause[1] if cause else 'it hung up'})")
    return TrackingError(f"{address}: {type(error).__name__}: {short}")


def _status(error: Exception) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)
