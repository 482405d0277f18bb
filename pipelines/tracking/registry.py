"""Model versions of the MLflow registry: publications, and which of them is the champion.

The entry's folder is registered as it is: MLflow's own model flavours are pickle. Publishing points
``@candidate`` at its version; ``@champion`` moves when a person promotes one.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.tracking.run_folder import Plan
from pipelines.tracking.server import RefusedError, Server, shown_uri, tracking_uri

CANDIDATE = "candidate"
"""Alias of the version that was published last; MLflow reserves ``latest``."""
CHAMPION = "champion"
"""Alias of the version that was promoted last."""
ZOO_VERSION = "zoo_version"
"""Tag with the version of the zoo's entry, a hash of its content."""
RESULTS = ("test/default.", "test/gain_db.")
"""Metrics of a run that are a version's as well."""


def register_version(server: Server, run_id: str, plan: Plan) -> str:
    """Register the folder ``entry/<model_version>`` of a run, and point ``@candidate`` at it; its number.

    Repeating the call gives the same version.

    Raises:
        TrackingError: as the methods of the server.
    """
    name, mark = plan.model, {ZOO_VERSION: plan.model_version}
    with server.connect() as client:
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)
        known = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
        numbers = [found.version for found in known if found.tags.get(ZOO_VERSION) == plan.model_version]
        run = client.get_run(run_id)
        results = {key: value for key, value in run.data.metrics.items() if key.startswith(RESULTS)}
        if numbers:
            client.update_model_version(name, numbers[0], plan.description)
        else:
            made = client.create_model_version(
                name,
                f"{run.info.artifact_uri}/entry/{plan.model_version}",
                run_id=run_id,
                # A version of the open-source registry has no metrics of its own; its page shows tags.
                tags=mark | {key: f"{value:g}" for key, value in results.items()},
                description=plan.description,
            )
            numbers = [made.version]
        client.set_registered_model_alias(name, CANDIDATE, numbers[0])
        # Beside the version: a server takes no version of a logged model whose files are the run's.
        _log_model(client, run, plan, mark, results)
    return str(numbers[0])


def _log_model(client: Any, run: Any, plan: Plan, mark: Mapping[str, str], results: Iterable[str]) -> None:
    """Make a logged model of the run, with the results as its metrics; servers before MLflow 3 have none."""
    from mlflow.entities import LoggedModelOutput, Metric
    from mlflow.exceptions import MlflowException

    run_id, experiment = run.info.run_id, run.info.experiment_id
    ours = f"source_run_id = '{run_id}' AND tags.{ZOO_VERSION} = '{plan.model_version}'"
    try:
        found = client.search_logged_models([experiment], ours)
        # Found if registering it was interrupted; what follows may be repeated.
        model = found[0] if found else None
        if model is None:
            name = _clean_model_name(plan.model)
            model = client.create_logged_model(experiment, name, run_id, dict(mark), model_type="tunable")
    except MlflowException as error:
        if error.error_code in ("ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED"):
            return
        raise
    points = [client.get_metric_history(run_id, name)[-1] for name in results]
    metrics = [Metric(p.key, p.value, p.timestamp, p.step, model_id=model.model_id) for p in points]
    client.log_batch(run_id, metrics=metrics)
    step = max((point.step for point in points), default=0)
    known = run.outputs.model_outputs if run.outputs else []
    if model.model_id not in [output.model_id for output in known]:  # a database refuses to repeat it
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step)])
    client.finalize_logged_model(model.model_id, "READY")


def _clean_model_name(name: str) -> str:
    """A name of the zoo in the characters that MLflow's models may have."""
    return name.replace(".", "_")


def promote_version(root: Path, name: str, zoo_version: str, promoted_as: str) -> str:
    """Point ``@champion`` at the registered version of an entry; a sentence about it.

    Args:
        root: of the work tree.
        name: of the model.
        zoo_version: content version of the entry.
        promoted_as: its semantic version.

    Raises:
        PipelineError: MLflow is not installed.
        RefusedError: the entry is not registered there.
        TrackingError: the server does not answer.
    """
    shown, database = shown_uri(root), tracking_uri(root).removeprefix("sqlite:///")
    unknown = RefusedError(
        f"expected {name} with zoo_version {zoo_version} in the registry of {shown}, found none; publish it "
        "there ('tunable run publish', then 'tunable track' if the server was down)"
    )
    if database != tracking_uri(root) and not Path(database).exists():
        raise unknown  # connecting would make an empty database
    server = Server(root)
    with server.connect() as client:
        found = client.search_model_versions(f"name = '{name}' and tags.{ZOO_VERSION} = '{zoo_version}'")
        if not found:
            raise unknown
        newest = max(found, key=lambda version: int(version.version))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for key, value in {"promoted_as": promoted_as, "promoted": now}.items():
            client.set_model_version_tag(name, newest.version, key, value)
        client.set_registered_model_alias(name, CHAMPION, newest.version)
    return f"{name}@{CHAMPION} is version {newest.version} in {shown}"
