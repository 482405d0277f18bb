"""``tunable apply``: one picture through one model."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from pipelines.cli.stores import stores
from pipelines.cli.tables import told
from pipelines.errors import ConfigError, DataError
from pipelines.serve.sliders import parse_value

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", {"lossless": True}),
    ".tif": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
}
"""Suffix: Pillow's format and how we write it, as true as the format allows."""

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*")


class AssignmentCommand(TyperCommand):
    """Lets one ``--set`` take several assignments: ``--set a=1 b=2`` is ``--set a=1 --set b=2``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments with each assignment behind its own ``--set``."""
        spread: list[str] = []
        for arg in args:
            follows = len(spread) > 1 and spread[-2] == "--set" and _ASSIGNMENT.fullmatch(arg)
            spread += ["--set", arg] if follows else [arg]
        return super().parse_args(ctx, spread)


def apply(
    ref: Annotated[str, typer.Argument(metavar="REF", help="Name, name@version, or folder.")],
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="The picture to restore.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Where to write it; the suffix says how.")],
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A slider; may be given again.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps ...")] = "cpu",
    engine: Annotated[
        str, typer.Option(help="onnx, torch, or auto: onnx on the CPU where it is installed.")
    ] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace OUTPUT if it exists.")] = False,
) -> None:
    """Restore a picture.

    Example: tunable apply denoise-deblur in.png out.png --set denoise=0.7 deblur=1.0
    """
    check_target(source, target, force=force)
    values = parse_assignments(assignments or [])
    check_device(device)
    from pipelines.records import write_atomic
    from zoo import load

    with told("zoo.engine"):
        model = load(ref, stores=stores(), device=device, engine=engine)  # type: ignore[arg-type]
    result = model(source, values)
    write_atomic(target, encode(result, target.suffix))
    used = ", ".join(
        f"{name}={value:.4g}" for name, value in model.space.values(model.space.omega(values)).items()
    )
    size = f"{result.width}x{result.height}"
    typer.echo(f"{target}  {size}  {model.name}@{model.version}  {used}  engine {model.engine}")


def check_target(source: Path, target: Path, *, force: bool) -> None:
    """Refuse an output that we cannot or must not write, before any work.

    Raises:
        ConfigError: an unknown suffix, a missing folder, the input itself, or (without ``force``) a file
            that exists.
    """
    if target.suffix.lower() not in FORMATS:
        raise ConfigError(f"{target}: expected a suffix among {', '.join(FORMATS)}, got {target.suffix!r}")
    if not target.parent.is_dir():
        raise ConfigError(f"{target}: the folder {target.parent} does not exist; create it first")
    if target.is_dir():
        raise ConfigError(f"{target} is a folder; name a file")
    if target.exists() and source.exists() and target.samefile(source):
        raise ConfigError(f"{target} is the input itself; name another output")
    if target.exists() and not force:
        raise ConfigError(f"{target} exists; name another output or say --force")


def check_device(device: str) -> None:
    """Refuse a device that torch does not know or this machine does not have.

    Raises:
        ConfigError: what torch says of it.
    """
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA raises an AssertionError
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"--device {device}: {reason}; cpu always works") from error


def parse_assignments(assignments: list[str]) -> dict[str, float]:
    """``name=value`` texts as slider values.

    Raises:
        ConfigError: an assignment of another form, no number, or a slider that is set twice.
    """
    values: dict[str, float] = {}
    for assignment in assignments:
        name, mark, text = assignment.partition("=")
        if not mark:
            raise ConfigError(f"--set: expected NAME=VALUE such as denoise=0.7, got {assignment!r}")
        if name in values:
            raise ConfigError(f"--set: {name} is set twice; keep one")
        values[name] = parse_value(name, text)
    return values


def encode(picture: Image, suffix: str) -> bytes:
    """The picture as a file of that suffix, with its colour profile.

    Raises:
        DataError: the format cannot hold this picture (its size, its transparency, its depth).
    """
    kind, options = FORMATS[suffix.lower()]
    out = BytesIO()
    try:
        picture.save(out, kind, icc_profile=picture.info.get("icc_profile"), **options)
    except (OSError, ValueError) as error:
        size = f"{picture.width}x{picture.height}, mode {picture.mode}"
        raise DataError(f"{kind} cannot hold this picture ({size}): {error}; choose .png") from error
    return out.getvalue()
