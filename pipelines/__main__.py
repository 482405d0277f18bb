"""``python -m pipelines STAGE``: what ``dvc.yaml`` calls; and recipes for ``params.yaml``.

Stages are imported when they run: preparing photographs must not need Ray, and must not be invalidated
by a change to the server.
"""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

from filelock import FileLock, Timeout

from pipelines.config import load_section
from pipelines.errors import ConfigError, PipelineError, sentence
from pipelines.paths import Layout
from pipelines.stopping import Interrupted, end_with_dvc, terminable
from pipelines.torchrun import rank

# stage: (module with run, module with the options, name of their class)
STAGES = {
    "prepare": ("pipelines.data.prepare", "pipelines.data.config", "PrepareConfig"),
    "train": ("pipelines.train.stage", "pipelines.train.config", "TrainConfig"),
    "search": ("pipelines.search.stage", "pipelines.search.config", "SearchConfig"),
    "evaluate": ("pipelines.evaluate.stage", "pipelines.evaluate.config", "EvaluateConfig"),
    "publish": ("pipelines.publish.stage", "pipelines.publish.config", "PublishConfig"),
}
ROAD = ("prepare", "train", "evaluate", "publish")
"""What ``all`` runs."""
USAGE = (
    f"usage: python -m pipelines {{{','.join(STAGES)},all}} [--root FOLDER] [--dry-run] "
    "| train --accept-code-change | search --publish | track | recipe TASK [--budget minutes] [--out FILE]"
)
PATIENCE_S = 90.0
"""For the same stage, which may be ending: what a killed ``dvc repro`` leaves behind writes a checkpoint."""


def run_stage(name: str, layout: Layout, **flags: bool) -> None:
    """Run one stage with its section of ``params.yaml``.

    Args:
        name: of the stage.
        layout: of the work tree.
        flags: what else the stage's ``run`` takes.

    Raises:
        PipelineError: an unknown stage, or whatever the stage refuses.
    """
    if name not in STAGES:
        raise ConfigError(f"unknown stage {name!r}; expected one of {', '.join(STAGES)}, all, track, recipe")
    module, options, kind = STAGES[name]
    config = load_section(layout.params, name, getattr(import_module(options), kind))
    run: Callable[..., None] = import_module(module).run
    with _alone(name, layout):
        run(config, layout, **flags)


@contextmanager
def _alone(name: str, layout: Layout) -> Iterator[None]:
    # When `dvc repro` is killed its stage goes on, and the next repro would start a second one beside it.
    if rank():  # one of torchrun's processes, whose first one holds the lock
        yield
        return
    layout.state.mkdir(parents=True, exist_ok=True)
    lock = FileLock(layout.state / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{name}: another {name} is running in {layout.root}; waiting for it to end", file=sys.stderr)
        _wait(lock, name, layout)
    try:
        yield
    finally:
        lock.release()


def _wait(lock: FileLock, name: str, layout: Layout) -> None:
    try:
        lock.acquire(timeout=PATIENCE_S)
    except Timeout:
        message = f"another {name} is still running in {layout.root}; wait for it, or end it first"
        raise PipelineError(message) from None


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a file name may hold bytes that are no text
            stream.reconfigure(errors="backslashreplace")
    try:
        chosen = _parser().parse_args(arguments)
    except _UsageError:
        chosen = Namespace(help=False, command=None)
    misplaced = chosen.command != "search" and getattr(chosen, "publish", False)
    if chosen.help or chosen.command is None or misplaced:
        print(USAGE, file=sys.stderr)
        return 0 if chosen.help else 2
    if chosen.dry_run:
        return _dry_run(chosen)
    others = {"recipe": _recipe, "track": _track}
    return others.get(chosen.command, _stages)(chosen)


def _stages(chosen: Namespace) -> int:
    name, again = chosen.command, ""
    try:
        end_with_dvc()
        with terminable():
            layout = Layout.at(chosen.root) if chosen.root else Layout.find()
            for name, flags in _chain(chosen):
                publishing = " --publish" if chosen.publish else ""
                again = layout.again if name in ROAD else f"python -m pipelines {name}{publishing}"
                run_stage(name, layout, **flags)
    except KeyboardInterrupt as error:
        print(f"{name}: interrupted; go on with: {again}", file=sys.stderr)
        return (error if isinstance(error, Interrupted) else Interrupted()).exit_code
    except Exception as error:
        return _told(name, error)
    return 0


def _chain(chosen: Namespace) -> Iterator[tuple[str, dict[str, bool]]]:
    """The stages that a command runs one after the other, each with its flags."""
    names: tuple[str, ...] = ROAD if chosen.command == "all" else (chosen.command,)
    if chosen.publish:  # what the search found is trained in full
        names = ("search", *ROAD[1:])
    for name in names:
        flags = {"train": {"accept_code_change": True}} if chosen.accept_code_change else {}
        flags |= {"search": {"adopt": True}} if chosen.publish else {}
        yield name, flags.get(name, {})


def _dry_run(chosen: Namespace) -> int:
    from pipelines.doctor.dry_run import dry_run

    try:
        layout = Layout.at(chosen.root) if chosen.root else Layout.find()
        return 0 if dry_run(chosen.command, layout) else 1
    except Exception as error:
        return _told(chosen.command, error)


def _track(chosen: Namespace) -> int:
    from pipelines.tracking.catch_up import run

    try:
        run(Layout.at(chosen.root) if chosen.root else Layout.find())
    except Exception as error:
        return _told("track", error)
    return 0


def _recipe(chosen: Namespace) -> int:
    from pipelines.recipes import make_recipe

    try:
        text = make_recipe(chosen.name or "", chosen.budget)
        _hand_out(text, chosen.out)
    except Exception as error:
        return _told("recipe", error)
    return 0


def _hand_out(text: str, out: Path | None) -> None:
    if out is None:
        print(text, end="")
        return
    try:
        with out.open("x", encoding="utf-8") as file:  # a params.yaml may be hours of somebody's work
            file.write(text)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"expected to write a new file {out}, got: {reason}; name another") from error


def _told(name: str, error: Exception) -> int:
    """A known error in a sentence; any other with its traceback."""
    message = sentence(error)
    if message is None or os.environ.get("TUNABLE_DEBUG") == "1":
        raise error
    print(f"{name}: {message}", file=sys.stderr)
    return 1


class _UsageError(Exception):
    """Arguments that make no command."""


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(message)


def _parser() -> _Parser:
    parser = _Parser(add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("command", nargs="?")
    parser.add_argument("name", nargs="?")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--budget", default="minutes")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--accept-code-change", action="store_true")
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
