"""The door to the tracking server: the only module that imports MLflow, and where the server is.

By default everything goes to one SQLite file in the *main* work tree, whose absolute path is the same for a
stage, for ``dvc exp run``'s temporary copies and for git's other work trees; ``MLFLOW_TRACKING_URI`` names a
server instead.

Every call is idempotent: a run is found again by its key, and a parameter, a point of a curve or a file that
is already there is not added again. So a client that was interrupted repeats the call.
"""

import json
import logging
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from pipelines.core.errors import PipelineError
from pipelines.core.layout import find_main_work_tree

if TYPE_CHECKING:
    from pipelines.tracking.run_folder import Dataset

EXPERIMENT = "tunable-zoo"
"""Default name of the experiment."""
KEY = "tunable.key"
"""Tag with a run's key, by which it is found when its id was not recorded."""
PARENT = "mlflow.parentRunId"

BOUNDS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the caller retries, and can be stopped in between
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""MLflow's own defaults are minutes a call. Read at every call; values set by the user stay."""
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Tags of a new experiment: its page is that of model training, not that of language models."""
DIGEST_DIGITS = 36
"""Of a dataset; MLflow takes no more."""
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
        self._images: dict[str, set[str]] = {}

    def claim(
        self,
        key: str,
        name: str,
        tags: Mapping[str, str],
        started_ms: int | None = None,
        experiment: str = "",
    ) -> str:
        """The id of the run with this key, which is created if needed; the caller holds the key's lock."""
        with self.connect() as client:
            place = self._find_experiment(client, experiment or EXPERIMENT)
            for run in client.search_runs([place], f"tags.`{KEY}` = '{key}'"):
                return str(run.info.run_id)
            made = client.create_run(place, started_ms, {**tags, KEY: key}, name)
            return str(made.info.run_id)

    def has(self, run_id: str) -> bool:
        """Whether the server has the run, not deleted."""
        try:
            with self.connect() as client:
                return run_id != "" and bool(client.get_run(run_id).info.lifecycle_stage == "active")
        except UnknownRunError:
            return False

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of the run."""
        from mlflow.entities import RunTag

        with self.connect() as client:
            client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])

    def inputs(self, run_id: str, datasets: Iterable["Dataset"]) -> None:
        """List photographs among the inputs of the run; those that are there already stay as they are."""
        from mlflow.entities import Dataset as Listed
        from mlflow.entities import DatasetInput, InputTag

        all_ = []
        for data in datasets:
            source = json.dumps({"uri": data.source})
            listed = Listed(
                data.name, data.digest[:DIGEST_DIGITS], "local", source, profile=json.dumps(data.profile)
            )
            all_.append(DatasetInput(listed, [InputTag("mlflow.data.context", data.context)]))
        with self.connect() as client:
            client.log_inputs(run_id, all_)

    def params(self, run_id: str, values: Mapping[str, str]) -> None:
        """Log options by dotted name."""
        from mlflow.entities import Param

        all_ = [Param(_clean_name(key), value) for key, value in values.items()]
        with self.connect() as client:
            for start in range(0, len(all_), PARAMS_A_CALL):
                client.log_batch(run_id, params=all_[start : start + PARAMS_A_CALL])

    def values(self, run_id: str, values: Iterable[Value]) -> None:
        """Log points of curves; non-finite values become NaN.

        A database has no infinity: MLflow would store 1.8e308, beside which a curve is a flat line.
        """
        from mlflow.entities import Metric

        all_ = [
            Metric(_clean_name(v.name), v.value if math.isfinite(v.value) else math.nan, v.time_ms, v.step)
            for v in values
        ]
        with self.connect() as client:
            for start in range(0, len(all_), METRICS_A_CALL):
                client.log_batch(run_id, metrics=all_[start : start + METRICS_A_CALL])

    def file(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Upload a file into that folder of the run's artefacts."""
        with self.connect() as client:
            client.log_artifact(run_id, str(path), folder)

    def image(self, run_id: str, path: Path, name: str, step: int, time_ms: int) -> None:
        """Log a PNG as the picture of that name at a step; it is not added again if it is there.

        Raises:
            RefusedError: no readable picture.
        """
        try:
            with Image.open(path, formats=["PNG"]) as picture:
                picture.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise RefusedError(f"expected a picture in {path}, got {error}") from error
        with self.connect() as client:
            if run_id not in self._images:
                self._images[run_id] = {item.path for item in client.list_artifacts(run_id, "images")}
            start = f"images/{name}+step+{step}+timestamp+{time_ms}+"
            if sum(known.startswith(start) for known in self._images[run_id]) < 2:  # in full, and small
                client.log_image(run_id, picture, key=name, step=step, timestamp=time_ms)

    def resume(self, run_id: str) -> None:
        """Mark the run as running."""
        with self.connect() as client:
            client.update_run(run_id, status="RUNNING")

    def end(self, run_id: str, status: str, time_ms: int | None = None) -> None:
        """Mark the run as FINISHED, FAILED or KILLED, since that time."""
        with self.connect() as client:
            client.set_terminated(run_id, status, time_ms)

    @property
    def _client(self) -> Any:
        if self._opened is None:
            # The first connection to a new SQLite file logs every migration.
            for name in ("alembic", "mlflow"):
                logging.getLogger(name).setLevel(logging.WARNING)
            self._opened = self._connect(tracking_uri(self._root))
        return self._opened

    def _find_experiment(self, client: Any, name: str) -> str:
        """The id of an experiment, which is created if needed."""
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        local = tracking_uri(self._root).startswith("sqlite:")
        artifacts = (find_main_work_tree(self._root) / "mlartifacts").as_uri() if local else None
        return str(client.create_experiment(name, artifact_location=artifacts, tags=KIND))

    @contextmanager
    def connect(self) -> Iterator[Any]:
        """MLflow's client for the length of a block, whose errors are translated."""
        try:
            yield self._client
        except TrackingError:
            raise
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
