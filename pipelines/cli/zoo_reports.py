"""``tunable zoo diff``, ``compare``, ``reproduce`` and ``gallery``: entries compared, made again, shown."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.common import echo_log, list_stores, parse_assignments, print_json, print_table
from pipelines.core.errors import ConfigError

if TYPE_CHECKING:
    from zoo import Manifest

Ref = Annotated[str, typer.Argument(metavar="REF", help="Name, name@version, name@alias, or a folder.")]
Other = Annotated[str, typer.Argument(metavar="OTHER", help="The same of another entry.")]

CELL = 60
"""Characters of a value in a table; all of it is in the JSON."""

PREPARE = """\
prepare:
  source:                      # a folder of photographs; those of the entry are identified below
"""


def diff_models(
    ref: Ref, other: Other, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Print in what two entries differ: network, sliders, numbers, licences, weights."""
    from zoo import diff_entries, resolve

    first, second = (resolve(each, stores=list_stores()) for each in (ref, other))
    found = diff_entries(first, second)
    if json:
        print_json([item._asdict() for item in found])
        return
    head = ["", f"{first.name}@{first.version}", f"{second.name}@{second.version}"]
    print_table(head, [[item.name, _format(item.first), _format(item.second)] for item in found])


def compare_models(
    ref: Ref,
    other: Other,
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A picture.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the sheet goes, such as sheet.png.")],
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A slider of each that has it.")
    ] = None,
) -> None:
    """Draw a picture beside what two models make of it, at full size."""
    import numpy as np
    import torch

    from pipelines.core.contact_sheet import contact_sheet
    from zoo import load, read_image

    values = parse_assignments(assignments or [])
    picture = read_image(photo)
    tiles = [("input", torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255)]
    unknown = set(values)
    for each in (ref, other):
        with echo_log("zoo.engine"):
            model = load(each, list_stores())
        own = {name: value for name, value in values.items() if name in model.space.names}
        unknown -= set(own)
        settings = model.space.values(model.space.omega(own))
        said = ", ".join(f"{name} {value:g}" for name, value in settings.items())
        tiles.append((f"{model.name}@{model.version}\n{said}", model(tiles[0][1], own)))
    if unknown:
        raise ConfigError(f"--set: neither {ref} nor {other} has a slider {', '.join(sorted(unknown))}")
    contact_sheet([tiles]).save(output)
    typer.echo(str(output))


def reproduce_model(
    ref: Ref,
    folder: Annotated[Path, typer.Option("--out", help="A new folder for params.yaml.")] = Path("reproduced"),
) -> None:
    """Write the options that an entry was trained by, and say what else its training depended on."""
    from pipelines.core.records import write_atomic
    from zoo import resolve

    manifest = resolve(ref, stores=list_stores()).manifest
    text = describe_training(manifest)
    target = folder / "params.yaml"
    if target.exists():
        raise ConfigError(f"expected no params.yaml in {folder}, found one; name another folder by --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(target, text.encode())
    typer.echo(f"{target}: fill in prepare.source, then: tunable run all --root {folder}")


def write_model_gallery(
    url: Annotated[
        str | None, typer.Argument(metavar="URL", help="A zoo elsewhere; by default the models at hand.")
    ] = None,
    folder: Annotated[
        Path, typer.Option("--out", help="A new folder, or that of an earlier gallery.")
    ] = Path("gallery"),
) -> None:
    """Write a web page of models: pictures, sliders, numbers, licences and how to use them."""
    from zoo import write_gallery
    from zoo.remote.sources import find_zoo

    with warnings.catch_warnings(record=True) as left_out:
        warnings.simplefilter("always")
        page = write_gallery(folder, find_zoo(url) if url else list_stores())
    for warning in left_out:
        typer.echo(f"tunable: {warning.message}", err=True)
    typer.echo(str(page))


def print_provenance(manifest: Manifest, json: bool) -> None:
    """Print where an entry comes from; all that is recorded as JSON, or what a reader asks for."""
    training = manifest.metrics.get("training")
    if json:
        print_json({"provenance": manifest.provenance, "training": training})
        return
    facts = {name: str(value) for name, value in _list_origin(manifest).items() if value}
    if not facts:
        raise ConfigError(f"{manifest.name}@{manifest.version} does not say where it comes from")
    print_table([], [[name, value] for name, value in facts.items()])
    if isinstance(training, dict) and training.get("options"):
        import yaml

        typer.echo(
            "\ntrained by\n" + yaml.safe_dump({"train": training["options"]}, sort_keys=False).rstrip()
        )


def describe_training(manifest: Manifest) -> str:
    """A ``params.yaml`` with the options of an entry's training, and its origin as comments.

    Raises:
        ConfigError: the entry does not say how it was trained.
    """
    import yaml

    training = manifest.metrics.get("training")
    options = training.get("options") if isinstance(training, dict) else None
    if not isinstance(options, dict):
        raise ConfigError(
            f"{manifest.name}@{manifest.version} does not say how it was trained; it was not published by "
            "the pipeline"
        )
    head = [f"# {manifest.name}@{manifest.version} was trained by these options.", "#"]
    head += [f"# {name}: {value}" for name, value in _list_origin(manifest).items() if value]
    sections = {"train": options, "publish": {"name": manifest.name}}
    return "\n".join(head) + "\n\n" + PREPARE + "\n" + yaml.safe_dump(sections, sort_keys=False)


def _list_origin(manifest: Manifest) -> dict[str, Any]:
    """What the training of an entry depended on beside its options; empty where it is not recorded."""
    origin, training = manifest.provenance, manifest.metrics.get("training")
    return {
        "code": f"git checkout {origin['git_commit']}" if origin.get("git_commit") else None,
        "changed files beside that commit": origin.get("git_dirty"),
        "packages": ", ".join(
            f"{name} {origin[name]}" for name in ("tunable-zoo", "torch", "ray", "python") if name in origin
        ),
        "photographs": _describe_photos(training.get("photos") if isinstance(training, dict) else None),
        "data licence": manifest.license.data,
        "training": f"{origin['training_seconds']} s" if "training_seconds" in origin else None,
        "MLflow run": origin.get("mlflow_run_id"),
        "fingerprint": origin.get("fingerprint"),
    }


def _describe_photos(photos: Any) -> str | None:
    if not isinstance(photos, dict):
        return None
    return f"{photos.get('count')}, SHA-256 {photos.get('sha256')} (artifacts/prepare/record.json has yours)"


def _format(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = f"{len(value)} items" if isinstance(value, list) else str(value)
    return text if len(text) <= CELL else f"{text[: CELL - 1]}…"
