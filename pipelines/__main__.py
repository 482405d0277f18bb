"""``python -m pipelines STAGE``: what ``dvc.yaml`` calls.

Stages are imported when they run: preparing photographs must not need Ray, and must not be invalidated
by a change to the server.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from io import TextIOWrapper

from filelock import FileLock, Timeout

from pipelines.config import load_section
from pipelines.errors import ConfigError, PipelineError, is_expected
from pipelines.paths import Layout

# stage: (module with run, module with the options, name of their class)
STAGES = {
    "prepare": ("pipelines.data.prepare", "pipelines.data.config", "PrepareConfig"),
    "train": ("pipelines.train.stage", "pipelines.train.config", "TrainConfig"),
    "evaluate": ("pipelines.evaluate.stage", "pipelines.evaluate.config", "EvaluateConfig"),
    "publish": ("pipelines.publish.stage", "pipelines.publish.config", "PublishConfig"),
}
INTERRUPTED = 130


def run_stage(name: str, layout: Layout) -> None:
    """Run one stage with its section of ``params.yaml``.

    Raises:
        PipelineError: an unknown stage, or whatever the stage refuses.
    """
    if name not in STAGES:
        raise ConfigError(f"unknown stage {name!r}; expected one of {', '.join(STAGES)}")
    module, options, kind = STAGES[name]
    config = load_section(layout.params, name, getattr(import_module(options), kind))
    run: Callable[[object, Layout], None] = import_module(module).run
    with _alone(name, layout):
        run(config, layout)


@contextmanager
def _alone(name: str, layout: Layout) -> Iterator[None]:
    # When `dvc repro` is killed its stage goes on, and the next repro would start a second one beside it.
    layout.state.mkdir(parents=True, exist_ok=True)
    lock = FileLock(layout.state / f"{name}.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        message = f"another {name} is running in {layout.root}; wait for it, or end it first"
        raise PipelineError(message) from None
    try:
        yield
    finally:
        lock.release()


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a file name may hold bytes that are no text
            stream.reconfigure(errors="backslashreplace")
    if len(arguments) != 1 or arguments[0] in {"-h", "--help"}:
        print(f"usage: python -m pipelines {{{','.join(STAGES)}}}", file=sys.stderr)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    try:
        run_stage(arguments[0], Layout.find())
    except KeyboardInterrupt:
        print(f"{arguments[0]}: interrupted; go on with: dvc repro", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if not is_expected(error) or os.environ.get("TUNABLE_DEBUG") == "1":
            raise
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
