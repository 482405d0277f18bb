import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from command_line import tunable
from pipelines.core.config import parse_section
from pipelines.core.layout import Layout
from pipelines.core.records import write_json_atomic
from pipelines.data.photos import PhotoSet
from pipelines.prune.prune import KINDS, delete_items, list_items
from pipelines.running.run import Run
from pipelines.tracking.run_folder import RunFolder
from pipelines.training.config import TrainConfig
from published import publish_small
from tunable_models import ControlSpace
from zoo import Store

OPTIONS: dict[str, Any] = {"compute": {"runner": "local"}, "steps": 40}

Reasons = dict[str, str]


@pytest.fixture
def begin(layout: Layout) -> Callable[..., Run]:
    """Writes params.yaml, and what a run of other options leaves."""
    layout.params.write_text(
        yaml.safe_dump({"prepare": {"source": "kodak"}, "train": OPTIONS, "search": {"name": "new"}})
    )

    def begin(**options: Any) -> Run:
        config = parse_section(OPTIONS | options, "train", TrainConfig)
        run = Run.of(config, PhotoSet.open(layout.prepare / "train"), layout)
        run.begin(lambda message: None)
        run.store.save(20, {})
        return run

    return begin


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNABLE_CACHE", str(tmp_path / "shards"))
    monkeypatch.setenv("TUNABLE_ZOO_CACHE", str(tmp_path / "zoo"))
    return tmp_path


def age(path: Path, days: float = 30) -> None:
    """Make files look unused."""
    then = time.time() - days * 86_400
    for one in (path, *path.rglob("*")):
        os.utime(one, (then, then))


def reasons(layout: Layout, *kinds: str, older_than_days: float = 7) -> Reasons:
    """Why each item stays, by name; empty if it can go."""
    return {item.path.name: item.keep for item in list_items(layout, kinds or KINDS, older_than_days)}


def test_a_run_goes_only_if_nothing_needs_it(layout: Layout, begin: Callable[..., Run]) -> None:
    old, recent, present, result = begin(seed=1), begin(seed=2), begin(), begin(seed=3)
    write_json_atomic(layout.train / "record.json", {"fingerprint": result.identity})
    for run in (old, present, result):
        age(run.folder)
    damaged = layout.state / "train-0123"
    damaged.mkdir()
    age(damaged)
    kept = reasons(layout, "runs")
    assert kept.pop(old.folder.name) == ""
    assert "7 days" in kept[recent.folder.name]
    assert "params.yaml" in kept[present.folder.name]
    assert "artifacts/train" in kept[result.folder.name]
    assert "run.json" in kept[damaged.name]
    assert reasons(layout, "runs", older_than_days=0)[recent.folder.name] == ""

    [gone] = [item for item in delete_items(layout, ["runs"], 7) if not item.keep]
    assert gone.path == old.folder
    assert "step 0 of 40" in gone.why
    assert gone.nbytes > 100
    assert sorted(path.name for path in layout.state.glob("train-*")) == sorted(kept)


def test_a_run_with_other_code_may_still_be_accepted(layout: Layout, begin: Callable[..., Run]) -> None:
    run = begin()
    note = json.loads((run.folder / "run.json").read_text())
    write_json_atomic(run.folder / "run.json", note | {"fingerprint": "other", "code": {}})
    age(run.folder)
    assert "params.yaml" in reasons(layout)[run.folder.name]


def test_what_runs_is_not_deleted(layout: Layout, begin: Callable[..., Run]) -> None:
    run = begin(seed=1)
    lock = run.folder / "some.lock"
    with FileLock(lock):
        age(run.folder)
        assert "another process" in reasons(layout)[run.folder.name]
    [item] = list_items(layout, ["runs"], 7)
    with FileLock(lock):  # since it was listed
        assert not item.remove()
    with FileLock(layout.state / "train.lock"):
        assert "training is running" in reasons(layout)[run.folder.name]
        assert [item.keep != "" for item in delete_items(layout, ["runs"], 7)] == [True]
    assert run.store.newest() == 20


def test_what_the_tracking_server_lacks_stays(layout: Layout, begin: Callable[..., Run]) -> None:
    run = begin(seed=1)
    folder = RunFolder(run.folder)
    folder.begin("a run", {})
    folder.log.write_text('{"step": 20, "loss": 1.0, "time_s": 1.0}\n')
    folder.end("FINISHED")
    trial = layout.state / "search-old" / "trial-1"
    trial.mkdir(parents=True)
    RunFolder(trial).begin("a trial", {})
    RunFolder(trial).end("KILLED")
    for path in (run.folder, trial.parent):
        age(path)
    kept = reasons(layout)
    assert "1 point and its end; send it: tunable track" in kept[run.folder.name]
    assert "its end; send it: tunable track" in kept["search-old"]


def test_searches_of_another_name_go(layout: Layout, begin: Callable[..., Run]) -> None:
    begin()
    for name in ("new", "old", "adopted"):
        folder = layout.state / f"search-{name}"
        (folder / "trial-1").mkdir(parents=True)
        age(folder)
    copy = layout.state / "search-adopted" / "params-before-1.yaml"
    copy.touch()
    age(copy)
    kept = reasons(layout, "searches")
    assert kept.pop("search-old") == ""
    assert "params-before-1.yaml" in kept["search-adopted"]
    assert "params.yaml" in kept["search-new"]
    with FileLock(layout.state / "search.lock"):
        assert all(reasons(layout, "searches").values())
    delete_items(layout, ["searches"], 7)
    assert sorted(path.name for path in layout.state.glob("search-*")) == sorted(kept)


def test_entries_that_are_named_stay(layout: Layout, begin: Callable[..., Run]) -> None:
    begin()
    store, space = Store(layout.store), ControlSpace.box("denoise")
    first, second, third = (
        publish_small(store.root, space, description=f"Number {i}.").version for i in range(3)
    )
    write_json_atomic(layout.publish / "receipt.json", {"name": "tiny", "version": second})
    age(store.root)
    assert reasons(layout, "store") == {
        first: "",
        second: "the receipt in artifacts/publish names it",
        third: "alias latest",
    }
    [item] = [item for item in list_items(layout, ["store"], 7) if not item.keep]
    store.alias("tiny", "stable", first)
    assert not item.remove()
    store.alias("tiny", "stable", third)
    delete_items(layout, ["store"], 7)
    assert store.versions("tiny") == sorted([second, third])
    assert not store.remove("tiny", first)


def test_downloads_and_caches_that_are_not_named_go(
    layout: Layout, begin: Callable[..., Run], caches: Path
) -> None:
    begin()
    for name in ("kodak", "div2k"):
        (layout.downloads / name).mkdir(parents=True)
        (layout.downloads / name / "1.png").write_bytes(b"12345")
    (needed,) = (layout.prepare / "train").glob("pixels-*.bin")
    for name in (needed.name, "pixels-0.bin", "pixels-1.bin"):
        (caches / "shards").mkdir(exist_ok=True)
        (caches / "shards" / name).write_bytes(b"1")
    age(layout.downloads)
    age(caches / "shards")
    (caches / "shards" / "pixels-1.bin").touch()
    delete_items(layout, ["downloads", "caches"], 7)
    assert [path.name for path in layout.downloads.iterdir() if path.is_dir()] == ["kodak"]
    assert {path.name for path in (caches / "shards").glob("*.bin")} == {needed.name, "pixels-1.bin"}


def test_the_command_lists_first_and_deletes_when_told(layout: Layout, begin: Callable[..., Run]) -> None:
    old = begin(seed=1)
    age(old.folder)
    result = tunable("prune", "--root", layout.root)
    assert result.exit_code == 0, result.output
    assert str(old.folder) in result.stdout
    assert "--yes" in result.stderr
    listed = json.loads(tunable("prune", "runs", "--json", "--root", layout.root).stdout)
    assert [(item["path"], item["can_go"]) for item in listed] == [(str(old.folder), True)]
    assert old.folder.is_dir()
    result = tunable("prune", "--yes", "--root", layout.root)
    assert result.exit_code == 0, result.output
    assert not old.folder.exists()
    assert "unknown kind 'run'; did you mean 'runs'" in tunable("prune", "run", "--root", layout.root).stderr

    layout.params.write_text("train: {steps: 0}")  # nobody knows what is needed
    assert tunable("prune", "--yes", "--root", layout.root).exit_code == 1
