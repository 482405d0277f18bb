"""``tunable export``: a model as a file for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.common import list_stores, parse_assignments, require_extra
from pipelines.core.errors import ConfigError

if TYPE_CHECKING:
    from zoo import Predictor

ONNX, SPANDREL = ".onnx", ".safetensors"


def export_model(
    ref: Annotated[str, typer.Argument(metavar="REF", help="Name, name@version, or folder.")],
    onnx: Annotated[
        Path | None,
        typer.Option("--onnx", metavar="FILE", help="Write an ONNX model, for any size of picture."),
    ] = None,
    spandrel: Annotated[
        Path | None,
        typer.Option("--spandrel", metavar="FILE", help="Write a checkpoint that spandrel's tools load."),
    ] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A slider; may be given again.")
    ] = None,
    opset: Annotated[
        int | None, typer.Option("--opset", help="Version of ONNX's operators, for --onnx.")
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Weights and pictures in float16, for --onnx: half the size.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
) -> None:
    """Write a model as a file for other programs.

    With --set the sliders are fixed there, unset ones at their defaults. An ONNX model without --set keeps
    them: its second input, omega, holds each slider from 0 to 1. A checkpoint is always at one setting.

    Example: tunable export denoise-deblur --onnx model.onnx --set denoise=0.7 deblur=1.0
    """
    if (onnx is None) == (spandrel is None):
        raise ConfigError("expected one of --onnx FILE and --spandrel FILE")
    if onnx is None and (half or opset is not None):
        raise ConfigError("--opset and --half are for --onnx FILE")
    target, suffix = (onnx, ONNX) if onnx is not None else (spandrel, SPANDREL)
    assert target is not None
    check_target(target, suffix, force=force)
    values = parse_assignments(assignments or [])
    if suffix == ONNX:
        require_extra("export")
    from pipelines.core.records import write_atomic
    from zoo import load

    model = load(ref, stores=list_stores(), engine="torch")
    data = (
        _encode_onnx(model, values, opset, half=half) if suffix == ONNX else _encode_checkpoint(model, values)
    )
    write_atomic(target, data)
    where = _describe_setting(model, values) if values or suffix == SPANDREL else "omega is an input"
    typer.echo(f"{target}  {len(data) / 2**20:.1f} MiB  {model.name}@{model.version}  {where}")


def check_target(target: Path, suffix: str, *, force: bool) -> None:
    """Refuse a file that cannot or must not be written, before any work.

    Raises:
        ConfigError: another suffix, a missing folder, a folder, or (without ``force``) a file that exists.
    """
    if target.suffix.lower() != suffix:
        raise ConfigError(f"{target}: expected the suffix {suffix}, got {target.suffix!r}")
    if not target.parent.is_dir():
        raise ConfigError(f"{target}: the folder {target.parent} does not exist; create it first")
    if target.is_dir():
        raise ConfigError(f"{target} is a folder; name a file")
    if target.exists() and not force:
        raise ConfigError(f"{target} exists; name another file or say --force")


def _encode_onnx(model: Predictor, values: dict[str, float], opset: int | None, *, half: bool) -> bytes:
    from tunable_models.export import to_onnx

    contract = model.manifest.input
    network = model.network.half() if half else model.network
    program = to_onnx(
        network, values or None, channels=contract.channels, multiple=contract.multiple, opset=opset
    )
    about = {
        "name": model.name,
        "version": model.version,
        "controls": json.dumps(model.space.to_dict()),
        "setting": _describe_setting(model, values) if values else "input omega",
        "input": contract.model_dump_json(),
        "precision": "float16" if half else "float32",
    }
    program.model.metadata_props.update(about)
    data: bytes = program.model_proto.SerializeToString()
    return data


def _encode_checkpoint(model: Predictor, values: dict[str, float]) -> bytes:
    from pipelines.features.spandrel_checkpoints import encode_for_spandrel
    from tunable_models import fold

    return encode_for_spandrel(fold(model.network, values), model.manifest.architecture.id)


def _describe_setting(model: Predictor, values: dict[str, float]) -> str:
    used = model.space.values(model.space.omega(values))
    return ", ".join(f"{name}={value:g}" for name, value in used.items())
