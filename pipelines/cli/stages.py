"""``tunable run``, ``search``, ``track``, ``recipe`` and ``doctor``: the stages of the pipeline.

Stages are imported when they run: preparing photographs must not need Ray, and must not be invalidated by a
change to the server.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.common import report_known_errors, require_extra
from pipelines.core.errors import ConfigError
from pipelines.core.layout import Layout

# stage: (module with run, module with the options, name of their class)
STAGES = {
    "prepare": ("pipelines.stages.prepare", "pipelines.data.config", "PrepareConfig"),
    "train": ("pipelines.stages.train", "pipelines.training.config", "TrainConfig"),
    "search": ("pipelines.stages.search", "pipelines.search.config", "SearchConfig"),
    "evaluate": ("pipelines.stages.evaluate", "pipelines.evaluate.config", "EvaluateConfig"),
    "publish": ("pipelines.stages.publish", "pipelines.publish.config", "PublishConfig"),
}
PIPELINE = ("prepare", "train", "evaluate", "publish")
"""What ``all`` runs."""

UPLOADED = re.compile(r"/runtime_resources/(working_dir|py_modules)_files/")
"""In the path of what ``ray job submit`` has uploaded."""

Flags = dict[str, dict[str, bool]]
"""Further arguments of a stage's ``run``, by stage."""

Root = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="A work tree.", show_default="the one around here"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would run, check it, and change nothing.")]


def run_stages(
    stage: Annotated[
        str, typer.Argument(metavar="STAGE", help=f"{', '.join(PIPELINE)}, or all of them: all.")
    ],
    root: Root = None,
    dry_run: DryRun = False,
    accept_code_change: Annotated[
        bool,
        typer.Option("--accept-code-change", help="Resume a training whose code changed since it began."),
    ] = False,
) -> None:
    """Run a stage of the pipeline by its section of params.yaml; a run that was interrupted is resumed.

    On several GPUs without Ray: torchrun --nproc-per-node 4 --no-python tunable run train
    """
    if stage not in (*PIPELINE, "all"):
        raise ConfigError(
            f"unknown stage {stage!r}; expected one of {', '.join(PIPELINE)}, all; a search is tunable search"
        )
    if accept_code_change and stage not in ("train", "all"):
        raise typer.BadParameter(f"expected stage train or all with --accept-code-change, got {stage}")
    names = PIPELINE if stage == "all" else (stage,)
    flags = {"train": {"accept_code_change": True}} if accept_code_change else {}
    if dry_run:
        _dry_run(stage, root)
    else:
        _run_in_order(names, root, flags, resume=f"tunable run {stage}")


def run_search(
    root: Root = None,
    dry_run: DryRun = False,
    publish: Annotated[
        bool, typer.Option("--publish", help="Train the best configuration in full, and publish it.")
    ] = False,
) -> None:
    """Search hyperparameters, by section search of params.yaml."""
    if dry_run:
        _dry_run("search", root)
    elif publish:
        names = ("search", *PIPELINE[1:])
        _run_in_order(names, root, {"search": {"adopt": True}}, resume="tunable search --publish")
    else:
        _run_in_order(("search",), root, {}, resume="tunable search")


def send_runs(root: Root = None) -> None:
    """Send to the tracking server what it missed, of every run of a work tree."""
    require_extra("pipelines")
    from pipelines.tracking.sync import sync_work_tree

    sync_work_tree(find_layout(root))


def write_recipe(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Such as noise-level.")] = "",
    budget: Annotated[str, typer.Option(help="minutes, cpu-hours, gpu-half-hour or gpu-days.")] = "minutes",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A new file.", show_default="standard output")
    ] = None,
) -> None:
    """Write a params.yaml for a task and a budget."""
    require_extra("pipelines")
    from pipelines.recipes import make_recipe

    text = make_recipe(task, budget)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        with out.open("x", encoding="utf-8") as file:  # an existing params.yaml may hold hours of work
            file.write(text)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"expected to write a new file {out}, got: {reason}; name another") from error


def check_work_tree(
    root: Root = None,
    stage: Annotated[
        str | None, typer.Option(help="Only what this stage needs: prepare, train, evaluate, publish, serve.")
    ] = None,
    processes: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="How many torchrun will start for a training, on all nodes."),
    ] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check options, data, disk, cluster, GPUs and tracking of a work tree, in seconds.

    Changes nothing. Exit code 1 if anything would keep a stage from running.
    """
    require_extra("pipelines")
    from pipelines.doctor.report import print_findings, print_findings_json
    from pipelines.doctor.run import examine_work_tree

    findings = examine_work_tree(find_layout(root), stage, processes)
    if not (print_findings_json(findings) if json else print_findings(findings)):
        raise typer.Exit(1)


def run_stage(name: str, layout: Layout, **flags: bool) -> None:
    """Run one stage with its section of ``params.yaml``.

    Args:
        name: a key of ``STAGES``.
        layout: of the work tree.
        flags: further arguments of the stage's ``run``.

    Raises:
        PipelineError: the stage failed, or refused its options or inputs.
    """
    from pipelines.core.config import load_section

    module, options, kind = STAGES[name]
    config = load_section(layout.params, name, getattr(import_module(options), kind))
    run: Callable[..., None] = import_module(module).run
    with _hold_lock(name, layout):
        run(config, layout, **flags)


def _run_in_order(names: tuple[str, ...], root: Path | None, flags: Flags, *, resume: str) -> None:
    """Run stages one after the other; the error of a stage begins with its name.

    Args:
        names: of the stages.
        root: of the work tree; the one around here by default.
        flags: of each stage.
        resume: the command that resumes them, without its root.
    """
    require_extra("pipelines")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a file name may hold bytes that are no text
            stream.reconfigure(errors="backslashreplace")
    from pipelines.core.signals import Interrupted, end_with_dvc, terminable

    name = names[0]
    try:
        end_with_dvc()
        with terminable():
            layout = _require_lasting(find_layout(root))
            for name in names:
                with report_known_errors(name):
                    run_stage(name, layout, **flags.get(name, {}))
    except KeyboardInterrupt as error:
        if root:
            resume += f" --root {shlex.quote(str(root))}"
        elif "DVC_STAGE" in os.environ:
            resume = "the same dvc exp run" if "DVC_EXP_NAME" in os.environ else "dvc repro"
        typer.echo(f"{name}: interrupted; resume with: {resume}", err=True)
        raise typer.Exit((error if isinstance(error, Interrupted) else Interrupted()).exit_code) from error


def _dry_run(stage: str, root: Path | None) -> None:
    require_extra("pipelines")
    from pipelines.doctor.dry_run import dry_run

    if not dry_run(stage, find_layout(root)):
        raise typer.Exit(1)


def find_layout(root: Path | None) -> Layout:
    """The work tree that an option names, or the one around here."""
    return Layout.at(root) if root else Layout.find()


def _require_lasting(layout: Layout) -> Layout:
    """Refuse a work tree in the cache into which ``ray job submit --working-dir`` puts an uploaded folder.

    Raises:
        ConfigError: all that a run writes there would be deleted after the job.
    """
    if UPLOADED.search(layout.root.as_posix()):
        raise ConfigError(
            f"expected a work tree that stays, got {layout.root}, Ray's copy of an uploaded folder, which it "
            "deletes with all results; name one on storage that all nodes share: --root /shared/FOLDER"
        )
    return layout


@contextmanager
def _hold_lock(name: str, layout: Layout) -> Iterator[None]:
    # When `dvc repro` is killed its stage continues, and the next repro would start a second one beside it.
    from pipelines.core.locks import hold_lock
    from pipelines.core.torchrun import rank

    if rank():  # one of torchrun's processes, whose first one holds the lock
        yield
        return
    what = f"{name} in {layout.root}"
    with hold_lock(layout.lock(name), what, lambda message: typer.echo(f"{name}: {message}", err=True)):
        yield
