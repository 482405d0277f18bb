"""The ``publish`` stage: an immutable zoo entry from artefacts alone, without any run's history.

The DVC out is a receipt, the same for the same entry. What differs from run to run goes into the
entry's provenance, which does not count for its version.
"""

import time
from pathlib import Path
from typing import Any

from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.core.provenance import provenance
from pipelines.core.records import read_json
from pipelines.core.trained import load_trained
from pipelines.publish.config import PublishConfig
from pipelines.publish.gates import check_gates
from pipelines.publish.receipt import write_receipt
from pipelines.publish.results import describe_version, make_tables
from pipelines.tracking import shown_uri
from pipelines.tracking.context import describe_context
from pipelines.tracking.run_folder import Dataset, RunFolder
from pipelines.tracking.sync import sync_once, tolerate_faults
from pipelines.training.log import append_line
from zoo import Entry, Store, publish
from zoo.card import CURVES, PREVIEW


def run(config: PublishConfig, layout: Layout) -> None:
    """Publish into the local store and register with MLflow.

    Raises:
        DataError: an earlier stage has not run, its artefacts do not fit together, or the network misses a
            gate of ``require``.
        ZooError: the entry cannot be written.
    """
    summary = _read_required(layout, layout.summary)
    check_gates(config.require, summary)  # before anything is written
    network, record = load_trained(layout)
    origin = _read_optional(layout, "provenance.json")
    entry = publish(
        network,
        name=config.name or record["task"],
        task=record["task"],
        description=record["description"],
        intended_use=config.intended_use,
        limitations=config.limitations,
        metrics=_collect_metrics(summary, record),
        license=_read_license(config, layout),
        provenance={
            **origin,
            "fingerprint": record["fingerprint"],
            "published": provenance(layout.root)["time"],
        },
        files=_collect_files(config, layout),
        store=Store(layout.store),
    )
    _track_entry(entry, layout, summary, record["steps"], str(origin.get("mlflow_run_id", "")))
    write_receipt(layout.receipt, entry)
    print(_summarize_entry(entry, layout))


def _collect_files(config: PublishConfig, layout: Layout) -> dict[str, bytes | Path]:
    pictures = {PREVIEW: layout.evaluate / "sliders.png", CURVES: layout.evaluate / "plots" / "curves.png"}
    files: dict[str, bytes | Path] = {name: path for name, path in pictures.items() if path.is_file()}
    for name, place in config.files.items():
        path = layout.root / place
        if name in files or not path.is_file():
            reason = "a picture of the evaluation has that name" if name in files else "found no such file"
            raise DataError(f"publish.files: expected a file for {name!r} at {path}, {reason}")
        files[name] = path
    return files


def _collect_metrics(summary: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    training = {key: record[key] for key in ("steps", "options", "photos", "materials") if key in record}
    return {"summary": summary, "tables": make_tables(summary), "training": training}


def _read_license(config: PublishConfig, layout: Layout) -> dict[str, str]:
    data = _read_required(layout, layout.prepare / "record.json")["license"]
    return {"weights": config.weights_license, "data": data, "note": config.license_note}


def _track_entry(entry: Entry, layout: Layout, summary: dict[str, Any], step: int, run_id: str) -> None:
    """Numbers and picture go to the training run, where they can be compared with other runs'.

    The entry is registered as a plain folder: MLflow's own model flavours are pickle.
    """
    folder, name = RunFolder(layout.state / f"publish-{entry.version[:16]}"), f"publish-{entry.version[:8]}"
    with tolerate_faults("publication not tracked"):
        folder.begin(
            name,
            {"stage": "publish", **describe_context(layout.root, "tunable run publish")},
            extends=run_id,
            model=(entry.name, entry.version),
            group="test",
            datasets=_list_datasets(layout),
            description=describe_version(entry.manifest, summary),
        )
        append_line(folder.log, {**read_json(layout.metrics)["test"], "step": step, "time_s": time.time()})
        for result in (layout.summary, layout.evaluate / "sliders.png"):
            folder.hold(result, "evaluation")
        folder.hold(entry.folder, "entry")
        folder.end("FINISHED")
    sync_once(folder, layout.root)


def _list_datasets(layout: Layout) -> list[Dataset]:
    """The test photographs."""
    record = _read_required(layout, layout.prepare / "record.json")
    test = record.get("test")
    if not test:
        return []
    source = (record.get("test_source") or record["source"])["source"]
    place = (layout.prepare / "test").relative_to(layout.root).as_posix()
    profile = {"photographs": test["count"]}
    name = f"{source} (test)"
    return [Dataset(name=name, digest=test["sha256"], context="test", source=place, profile=profile)]


def _summarize_entry(entry: Entry, layout: Layout) -> str:
    settings = " ".join(f"{name}={value:g}" for name, value in entry.manifest.control_space.defaults.items())
    lines = {
        "entry": entry.folder,
        "picture": layout.evaluate / "sliders.png",
        "metrics": layout.metrics,
        "tracking": shown_uri(layout.root),
        "serve": f"tunable serve {entry.name}",
        "apply": f"tunable apply {entry.name} in.png -o out.png --set {settings}",
    }
    return "\n".join([f"published {entry.name}@{entry.version}", *(f"  {k:<9}{v}" for k, v in lines.items())])


def _read_required(layout: Layout, path: Any) -> Any:
    if not path.is_file():
        raise DataError(f"expected {path.relative_to(layout.root)}, found nothing; run 'dvc repro' first")
    return read_json(path)


def _read_optional(layout: Layout, name: str) -> dict[str, Any]:
    path = layout.train / name
    return read_json(path) if path.is_file() else {}
