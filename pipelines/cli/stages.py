"""``tunable run``, ``search``, ``track`` and ``recipe``: the stages of the pipeline, and their options.

Stages are imported when they run: preparing photographs must not need Ray, and must not be invalidated by a
change to the server.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from pipelines.cli.extras import require
from pipelines.core.errors import DEBUG, ConfigError, PipelineError, describe_error
from pipelines.core.layout import Layout

# stage: (module with run, module with the options, name of their class)
STAGES = {
    "prepare": ("pipelines.stages.prepare", "pipelines.data.config", "PrepareConfig"),
    "train": ("pipelines.stages.train", "pipelines.training.config", "TrainConfig"),
    "search": ("pipelines.stages.search", "pipelines.search.config", "SearchConfig"),
    "evaluate": ("pipelines.stages.evaluate", "pipelines.evaluate.config", "EvaluateConfig"),
    "publish": ("pipelines.stages.publish", "pipelines.publish.config", "PublishConfig"),
}
ROAD = ("prepare", "train", "evaluate", "publish")
"""What ``all`` runs."""
PATIENCE_S = 90.0
"""For the same stage, which may be ending: what a killed ``dvc repro`` leaves behind writes a checkpoint."""

Root = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="A work tree.", show_default="the one around here"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would run, check it, and change nothing.")]


def run(
    stage: Annotated[str, typer.Argument(metavar="STAGE", help=f"{', '.join(ROAD)}, or all of them: all.")],
    root: Root = None,
    dry_run: DryRun = False,
    accept_code_change: Annotated[
        bool,
        typer.Option("--accept-code-change", help="Resume a training whose code changed since it began."),
    ] = False,
) -> None:
    """Run a stage of the pipeline by its section of params.yaml; a run that was interrupted is resumed."""
    if stage not in (*ROAD, "all"):
        raise ConfigError(
            f"unknown stage {stage!r}; expected one of {', '.join(ROAD)}, all; a search is tunable search"
        )
    if accept_code_change and stage not in ("train", "all"):
        raise typer.BadParameter(f"expected stage train or all with --accept-code-change, got {stage}")
    names = ROAD if stage == "all" else (stage,)
    flags = {"train": {"accept_code_change": True}} if accept_code_change else {}
    _start(stage, names, root, f"tunable run {stage}", dry_run=dry_run, flags=flags)


def search(
    root: Root = None,
    dry_run: DryRun = False,
    publish: Annotated[
        bool, typer.Option("--publish", help="Train the best configuration in full, and publish it.")
    ] = False,
) -> None:
    """Search hyperparameters, by section search of params.yaml."""
    names = ("search", *ROAD[1:]) if publish else ("search",)
    flags = {"search": {"adopt": True}} if publish else {}
    again = "tunable search --publish" if publish else "tunable search"
    _start("search", names, root, again, dry_run=dry_run, flags=flags)


def track(root: Root = None) -> None:
    """Send to the tracking server what it missed, of every run of a work tree."""
    require("pipelines")
    from pipelines.tracking.catch_up import run as catch_up

    with _known_errors("track"):
        catch_up(_layout(root))


def recipe(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Such as noise-level.")] = "",
    budget: Annotated[str, typer.Option(help="minutes, cpu-hours, gpu-half-hour or gpu-days.")] = "minutes",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A new file.", show_default="standard output")
    ] = None,
) -> None:
    """Write a params.yaml for a task and a budget."""
    require("pipelines")
    from pipelines.recipes import make_recipe

    with _known_errors("recipe"):
        text = make_recipe(task, budget)
        if out is None:
            typer.echo(text, nl=False)
        else:
            _write_new(text, out)


def run_stage(name: str, layout: Layout, **flags: bool) -> None:
    """Run one stage with its section of ``params.yaml``.

    Args:
        name: a key of ``STAGES``.
        layout: of the work tree.
        flags: what else the stage's ``run`` takes.

    Raises:
        PipelineError: whatever the stage refuses.
    """
    from pipelines.core.config import load_section

    module, options, kind = STAGES[name]
    config = load_section(layout.params, name, getattr(import_module(options), kind))
    run: Callable[..., None] = import_module(module).run
    with _alone(name, layout):
        run(config, layout, **flags)


def _start(
    command: str,
    names: tuple[str, ...],
    root: Path | None,
    again: str,
    *,
    dry_run: bool,
    flags: dict[str, dict[str, bool]],
) -> None:
    """Run stages one after the other, or say what they would do.

    Args:
        command: what was asked for.
        names: of the stages.
        root: of the work tree; the one around here by default.
        again: the command that resumes them, without its root.
        dry_run: only say.
        flags: of each stage.
    """
    require("pipelines")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a file name may hold bytes that are no text
            stream.reconfigure(errors="backslashreplace")
    if dry_run:
        _check_only(command, root)
    from pipelines.core.signals import Interrupted, end_with_dvc, terminable

    name = names[0]
    try:
        end_with_dvc()
        with terminable():
            layout = _layout(root)
            for name in names:
                run_stage(name, layout, **flags.get(name, {}))
    except KeyboardInterrupt as error:
        if root:
            again += f" --root {shlex.quote(str(root))}"
        elif "DVC_STAGE" in os.environ:
            again = "dvc repro"
        typer.echo(f"{name}: interrupted; resume with: {again}", err=True)
        raise typer.Exit((error if isinstance(error, Interrupted) else Interrupted()).exit_code) from error
    except Exception as error:
        _report(name, error)


def _check_only(command: str, root: Path | None) -> NoReturn:
    from pipelines.doctor.dry_run import dry_run

    sound = False
    with _known_errors(command):
        sound = dry_run(command, _layout(root))
    raise typer.Exit(0 if sound else 1)


def _layout(root: Path | None) -> Layout:
    return Layout.at(root) if root else Layout.find()


@contextmanager
def _alone(name: str, layout: Layout) -> Iterator[None]:
    # When `dvc repro` is killed its stage goes on, and the next repro would start a second one beside it.
    from filelock import FileLock, Timeout

    from pipelines.core.torchrun import rank

    if rank():  # one of torchrun's processes, whose first one holds the lock
        yield
        return
    layout.state.mkdir(parents=True, exist_ok=True)
    lock = FileLock(layout.state / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        typer.echo(f"{name}: another {name} is running in {layout.root}; waiting for it to end", err=True)
        _wait(lock.acquire, name, layout)
    try:
        yield
    finally:
        lock.release()


def _wait(acquire: Callable[..., object], name: str, layout: Layout) -> None:
    from filelock import Timeout

    try:
        acquire(timeout=PATIENCE_S)
    except Timeout:
        message = f"another {name} is still running in {layout.root}; wait for it, or end it first"
        raise PipelineError(message) from None


def _write_new(text: str, out: Path) -> None:
    try:
        with out.open("x", encoding="utf-8") as file:  # a params.yaml may be hours of somebody's work
            file.write(text)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"expected to write a new file {out}, got: {reason}; name another") from error


@contextmanager
def _known_errors(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        _report(name, error)


def _report(name: str, error: Exception) -> NoReturn:
    """A known error in a sentence that begins with the stage's name; any other keeps its traceback."""
    message = describe_error(error)
    if message is None or os.environ.get(DEBUG) == "1":
        raise error
    typer.echo(f"{name}: {' '.join(message.split())}", err=True)
    raise typer.Exit(1) from error
