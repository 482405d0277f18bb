"""State of earlier runs in a work tree: trainings, publications and searches.

A run stays if ``params.yaml`` or an artefact of the work tree is about it, while it is under way, and as long
as the tracking server lacks some of it: its folder is the only record of that.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.core.layout import Layout
from pipelines.core.records import read_json
from pipelines.prune.item import Item, make_folder_item, try_locks
from pipelines.prune.present import Present
from pipelines.tracking.run_folder import Behind, RunFolder
from pipelines.tracking.server import Server
from pipelines.tracking.sync import LATER
from pipelines.tracking.uploader import Uploader
from pipelines.training.log import RunLog

TRAIN, PUBLISH, SEARCH = "train-", "publish-", "search-"
"""How the names of state folders begin."""


def find_runs(layout: Layout, present: Present) -> Iterator[Item]:
    """Trainings and publications of a work tree."""
    with try_locks([layout.lock("train")]) as idle:
        for folder in _list_folders(layout, TRAIN):
            note = _read_note(folder / "run.json")
            keep = (
                _explain_running(idle, "training")
                or _explain_needed_run(note, present)
                or _explain_unsent(folder, layout)
            )
            yield make_folder_item("runs", folder, why=_describe_run(folder, note), keep=keep)
    with try_locks([layout.lock("publish")]) as idle:
        for folder in _list_folders(layout, PUBLISH):
            is_present = present.version.startswith(folder.name.removeprefix(PUBLISH)) and present.version
            keep = (
                _explain_running(idle, "publication")
                or ("artifacts/publish is its receipt" if is_present else "")
                or _explain_unsent(folder, layout)
            )
            yield make_folder_item("runs", folder, why="tracked completely", keep=keep)


def find_searches(layout: Layout, present: Present) -> Iterator[Item]:
    """Searches of a work tree, with their trials."""
    with try_locks([layout.lock("search")]) as idle:
        for folder in _list_folders(layout, SEARCH):
            name = folder.name.removeprefix(SEARCH)
            copies = sorted(folder.glob("params-before-*.yaml"))
            keep = (
                _explain_running(idle, "search")
                or ("params.yaml names it" if name == present.search else "")
                or (f"it holds your earlier {copies[0].name}; move that away" if copies else "")
                or _explain_unsent(folder, layout)
            )
            trials = len(list(folder.glob("trial-*")))
            why = f"params.yaml names another search; {trials} trial{'s' * (trials != 1)}"
            yield make_folder_item("searches", folder, why=why, keep=keep)


def _list_folders(layout: Layout, prefix: str) -> list[Path]:
    return sorted(path for path in layout.state.glob(f"{prefix}*") if path.is_dir())


def _explain_running(idle: bool, what: str) -> str:
    # Whichever it is: a run says by no file that it is the one which computes.
    return "" if idle else f"a {what} is running in this work tree"


def _explain_needed_run(note: dict[str, Any], present: Present) -> str:
    if not note:
        return "its run.json is missing or damaged, so that nobody knows what it is"
    options = {name: value for name, value in note.get("options", {}).items() if name != "materials"}
    # Also with other code or photographs: it may be what --accept-code-change is to resume.
    if options == json.loads(json.dumps(present.options)):
        return "params.yaml has its options"
    if note.get("fingerprint") == present.fingerprint:
        return "artifacts/train is its result"
    return ""


def _explain_unsent(folder: Path, layout: Layout) -> str:
    behind = sum((_count_unsent(one, layout) for one in (folder, *folder.glob("trial-*"))), Behind())
    return f"the tracking server lacks {behind}; send it: {LATER}" if behind else ""


def _count_unsent(folder: Path, layout: Layout) -> Behind:
    run = RunFolder(folder)
    return Behind() if run.plan() is None else Uploader(run, Server(layout.root)).behind()


def _describe_run(folder: Path, note: dict[str, Any]) -> str:
    points, _ = RunLog(folder).read()
    done, steps = points[-1].step if points else 0, note.get("options", {}).get("steps", 0)
    state = "finished" if done >= steps else f"stopped at step {done} of {steps}"
    return f"params.yaml trains another run; {state}"


def _read_note(path: Path) -> dict[str, Any]:
    """The note of a run; empty if it cannot be read."""
    try:
        note = read_json(path)
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
