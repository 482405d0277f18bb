"""``tunable apply``: pictures through one model."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.common import echo_log, list_stores, parse_assignments
from pipelines.core.errors import ConfigError

if TYPE_CHECKING:
    from pipelines.apply.outputs import Job
    from zoo import Predictor


def apply_model(
    ref: Annotated[str, typer.Argument(metavar="MODEL", help="Name, name@version, or folder.")],
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT", help="Files, folders with all below them, globs, or - for standard input."
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUTPUT",
            help="A folder, a file where there is one input file, or - for standard output.",
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A slider; may be given again.")
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Sliders from JSON, YAML or CSV: for all pictures, or for each by name."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make results again that exist; inputs are never overwritten.")
    ] = False,
    kind: Annotated[
        str | None,
        typer.Option("--format", help="png, tif, webp or jpg; by default the input's, or that of OUTPUT."),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Of JPEG (default 95) and WebP (default lossless)."),
    ] = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Of an input; by default what the model is made for."),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(
            min=32, metavar="SIDE", help="Compute larger pictures in tiles of this side: less memory."
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(min=1, help="Pictures in memory: one is computed while others are read and written."),
    ] = 2,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps ...")] = "cpu",
    engine: Annotated[
        str, typer.Option(help="onnx, torch, or auto: onnx on the CPU where it is installed.")
    ] = "auto",
    precision: Annotated[
        str, typer.Option(help="float32 on any engine; bfloat16 or float16 on torch, which auto then is.")
    ] = "float32",
    page: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Of files with several pages or frames, one alone.")
    ] = None,
    strip: Annotated[
        bool, typer.Option("--strip", help="Leave out EXIF, XMP, IPTC and resolution; colour profiles stay.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each picture.")] = False,
) -> None:
    """Restore pictures.

    Results that exist are skipped, what is broken is skipped and named, and then the exit code is 1. Places
    below a folder or a quoted glob are kept below OUTPUT.

    Examples:
    tunable apply denoise-deblur in.jpg -o out.png --set denoise=0.7 deblur=1.0

    tunable apply denoise-deblur photos -o restored --format webp --quality 90
    """
    target = _check_output(ref, inputs, output)
    _check_precision(engine, precision)
    values = parse_assignments(assignments or [])
    check_device(device)
    from pipelines.apply.inputs import STDIN, collect_inputs
    from pipelines.apply.outputs import STDOUT, assign_targets, guard_inputs
    from pipelines.apply.plan import Limits, Task, lift_pillow_limit, plan_tasks
    from pipelines.apply.report import Report
    from pipelines.apply.restorer import WriteOptions
    from pipelines.apply.settings import combine_settings
    from zoo import resolve
    from zoo.predictor import default_max_pixels

    manifest = resolve(ref, list_stores()).manifest
    contract = manifest.input
    if tile is not None and contract.radius_px is None:
        raise ConfigError(
            f"{manifest.name} sees the whole picture at once and is never cut; leave --tile out"
        )
    found = collect_inputs(inputs, target, sys.stdin.buffer.read() if inputs == [STDIN] else b"")
    placed = assign_targets(found, target, kind)
    _check_quality(quality, placed)
    names = [source.relative.as_posix() for source in found.sources]
    sliders = combine_settings(values, settings, manifest.control_space, names)
    limits = Limits(max_pixels or default_max_pixels(contract), contract.scale)
    report = Report(json=json, stdout_is_taken=target == STDOUT)
    number = None if page is None else page - 1
    with lift_pillow_limit():
        report.report_ignored(found)
        tasks = []
        for item in plan_tasks(placed, sliders, limits, overwrite=overwrite, page=number):
            if isinstance(item, Task):
                tasks.append(item)
                report.report_note(item)
            else:
                report.report(item)
        if tasks:
            model = _load_model(ref, device, engine, precision)
            model.max_pixels = limits.max_pixels
            if tile is not None:
                model.tile_px, model.whole_px = tile, tile * tile
            report.run_tasks(model, tasks, guard_inputs(found), WriteOptions(jobs, quality, overwrite, strip))
    raise typer.Exit(report.finish())


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


def _check_output(ref: str, inputs: Sequence[str], output: str | None) -> str:
    """OUTPUT, if it was given and can take a picture."""
    if output is None:
        *first, last = inputs
        hint = ""
        if first and not os.path.exists(last):
            hint = f"; did you mean: tunable apply {ref} {' '.join(first)} -o {last}"
        raise ConfigError(
            f"expected -o OUTPUT: a folder, a file for one input, or - for standard output; got none{hint}"
        )
    if output == "-" and sys.stdout.isatty():
        raise ConfigError("-o -: a terminal shows no pictures; lead standard output into a file or a program")
    return output


def _load_model(ref: str, device: str, engine: str, precision: str) -> Predictor:
    from zoo import load

    with echo_log("zoo.engine"):
        return load(ref, list_stores(), device, engine, precision)  # type: ignore[arg-type]


def _check_precision(engine: str, precision: str) -> None:
    if engine == "onnx" and precision != "float32":
        raise ConfigError(
            f"--engine onnx computes in float32 alone, got --precision {precision}; say torch or auto"
        )


def _check_quality(quality: int | None, jobs: Sequence[Job]) -> None:
    if quality is not None and all(job.form.lossy is None for job in jobs):
        names = " and ".join(sorted({job.form.name for job in jobs}))
        raise ConfigError(
            f"--quality is for jpg and webp, and results are {names}; say --format webp, or leave it"
        )
