"""``tunable zoo``: look at the entries, check them, give one a version."""

from __future__ import annotations

import os
import warnings
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.common import find_work_tree, list_stores, print_json, print_table

if TYPE_CHECKING:
    from tunable_models import Control
    from zoo import Manifest

zoo = typer.Typer(help="Look at published models, check them, give one a version.", no_args_is_help=True)

Ref = Annotated[str, typer.Argument(metavar="REF", help="Name, name@version, name@alias, or a folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Task = Annotated[str | None, typer.Option(help="Only models of this task.")]
Slider = Annotated[str | None, typer.Option("--control", help="Only models with this slider.")]
Licence = Annotated[str | None, typer.Option("--license", help="Only weights under this licence.")]
Source = Annotated[str | None, typer.Option(help="Only models of this source.")]


@zoo.command("list")
def list_entries(
    task: Task = None,
    control: Slider = None,
    license: Licence = None,
    max_params: Annotated[
        int | None, typer.Option(min=1, help="Only models of up to so many parameters.")
    ] = None,
    source: Source = None,
    json: Json = False,
) -> None:
    """List the models at hand."""
    from zoo import list_models

    with warnings.catch_warnings(record=True) as damaged:
        warnings.simplefilter("always")
        found = list_models(
            task, list_stores(), control=control, license=license, max_params=max_params, source=source
        )
    manifests = [entry.manifest for entry in found]
    for warning in damaged:
        typer.echo(f"tunable: {warning.message}", err=True)
    if json:
        print_json([_summarize(manifest) for manifest in manifests])
        return
    rows = []
    for m in manifests:
        sliders, scale = _describe_sliders(m), f"{m.input.scale}x"
        rows.append([f"{m.name}@{m.version}", m.task, sliders, scale, _format_size(m), m.license.weights])
    print_table(["MODEL", "TASK", "SLIDERS", "OUTPUT", "SIZE", "LICENCE"], rows)
    if not rows:
        asked = any(option is not None for option in (task, control, license, max_params, source))
        hint = "none is of that kind" if asked else "run the pipeline to publish one"
        typer.echo(f"No models here: {hint}.", err=True)


@zoo.command("search")
def search_entries(
    words: Annotated[list[str] | None, typer.Argument(help="In name, task, description or sliders.")] = None,
    task: Task = None,
    control: Slider = None,
    license: Licence = None,
    max_mib: Annotated[float | None, typer.Option(help="Only models up to this size in MiB.")] = None,
    source: Source = None,
    json: Json = False,
) -> None:
    """Find models at hand, and those of the sources."""
    from zoo import search_models

    found = search_models(
        " ".join(words or []),
        task=task,
        control=control,
        license=license,
        max_bytes=None if max_mib is None else int(max_mib * 2**20),
        source=source,
        stores=list_stores(),
    )
    if json:
        print_json([{**asdict(model), "license": model.license.model_dump()} for model in found])
        return
    rows = []
    for m in found:
        sliders, size = ", ".join(m.controls), f"{m.nbytes / 2**20:.3g} MiB"
        rows.append([f"{m.name}@{m.version}", m.task, sliders, size, m.license.weights, m.url or "here"])
    print_table(["MODEL", "TASK", "SLIDERS", "SIZE", "LICENCE", "WHERE"], rows)


@zoo.command()
def show(
    ref: Ref,
    provenance: Annotated[
        bool, typer.Option("--provenance", help="Where it comes from: commit, data, packages, options, run.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what the manifest of an entry says."""
    from zoo import resolve

    entry = resolve(ref, stores=list_stores())
    manifest = entry.manifest
    if provenance:
        from pipelines.cli.zoo_reports import print_provenance

        print_provenance(manifest, json)
        return
    if json:
        print_json(manifest.model_dump(mode="json"))
        return
    typer.echo(f"{manifest.name}@{manifest.version}  ({manifest.task})\n{manifest.description}\n")
    controls = manifest.control_space.controls
    rows = [[c.name, _format_range(c), f"{c.default:.4g}", c.metric, c.description] for c in controls]
    print_table(["SLIDER", "RANGE", "DEFAULT", "RAISES", "WHAT IT DOES"], rows)
    facts = _list_facts(manifest) | {"folder": str(entry.folder)}
    if entry.deprecated is not None:
        facts = {"deprecated": entry.deprecated.describe(), **facts}
    typer.echo("")
    print_table([], [[key, value] for key, value in facts.items()])


@zoo.command()
def verify(ref: Ref) -> None:
    """Check every file of an entry against its manifest."""
    from zoo import verify as verify_entry

    report = verify_entry(ref, stores=list_stores())
    size = sum(file.size for file in report.files) / 2**20
    typer.echo(
        f"{report.entry.name}@{report.entry.version}: {len(report.files)} files, {size:.1f} MiB, "
        f"{report.parameters} parameters, all as published"
    )


@zoo.command()
def promote(ref: Ref, version: Annotated[str, typer.Option(help="Semantic version, such as 1.0.0.")]) -> None:
    """Copy an entry into the bundled zoo under a semantic version, and make it MLflow's champion.

    MLflow's alias @champion moves to the entry where it was registered: in the work tree around here, or at
    MLFLOW_TRACKING_URI.
    """
    from zoo import promote as promote_entry

    entry = promote_entry(ref, version, stores=list_stores())
    typer.echo(f"{entry.name}@{entry.version}: {entry.folder}")
    _move_champion(entry.manifest)


def _move_champion(manifest: Manifest) -> None:
    """Move MLflow's alias, if there may be a registry; a fault is reported, and repeating mends it."""
    layout = find_work_tree()
    if find_spec("mlflow") is None or not (layout or os.environ.get("MLFLOW_TRACKING_URI")):
        return
    from pipelines.tracking.registry import promote_version
    from pipelines.tracking.server import TrackingError
    from zoo.manifest import content_version

    root = layout.root if layout else Path.cwd()
    try:
        typer.echo(promote_version(root, manifest.name, content_version(manifest), manifest.version))
    except TrackingError as error:
        again = "the entry is promoted, MLflow's @champion is not: repeat this command to move it"
        typer.echo(f"tunable: {error}; {again}", err=True)


def _summarize(manifest: Manifest) -> dict[str, object]:
    return {
        "name": manifest.name,
        "version": manifest.version,
        "task": manifest.task,
        "description": manifest.description,
        "space": manifest.space,
        "scale": manifest.input.scale,
        "bytes": sum(file.size for file in manifest.files),
        "license": manifest.license.model_dump(),
    }


def _describe_sliders(manifest: Manifest) -> str:
    space = manifest.control_space
    together = " (sum 1)" if space.kind == "simplex" else ""
    return ", ".join(f"{c.name} {_format_range(c)}" for c in space.controls) + together


def _format_size(manifest: Manifest) -> str:
    return f"{sum(file.size for file in manifest.files) / 2**20:.3g} MiB"


def _format_range(control: Control) -> str:
    return f"{control.low:g}..{control.high:g} {control.unit}".rstrip()


def _list_facts(manifest: Manifest) -> dict[str, str]:
    config = ", ".join(f"{key}={value}" for key, value in manifest.architecture.config.items())
    rank = f" of rank {manifest.rank}" if manifest.rank else ""
    how = f"method {manifest.method}" if manifest.method else f"{manifest.basis} basis{rank}"
    licence = f"weights {manifest.license.weights}, data {manifest.license.data}"
    return {
        "network": f"{manifest.architecture.id} ({config}), {how}",
        "sliders": "share a sum of 1" if manifest.control_space.kind == "simplex" else "independent",
        "output": f"{manifest.input.scale}x the input's size",
        "size": _format_size(manifest),
        "licence": f"{licence}. {manifest.license.note}".strip(),
        **_format_scalars(manifest.metrics.get("summary")),
        **_format_scalars(manifest.provenance),
    }


def _format_scalars(values: object) -> dict[str, str]:
    """The plain values of a JSON object; nested ones are for ``--json``."""
    pairs = values.items() if isinstance(values, dict) else ()
    return {
        key: f"{value:.4g}" if isinstance(value, float) else str(value)
        for key, value in pairs
        if isinstance(value, (str, int, float))
    }
