import os
import shutil
from dataclasses import replace
from typing import Any

import pytest

from full_disk import full
from pipelines.core.config import parse_section
from pipelines.core.errors import CheckpointError, TrainingError
from pipelines.core.layout import Layout
from pipelines.core.records import read_json, write_json_atomic
from pipelines.data.photos import PhotoSet
from pipelines.running.run import Run
from pipelines.training.config import TrainConfig


def run_of(config: TrainConfig, layout: Layout, **options: Any) -> Run:
    changed = parse_section(config.model_dump() | options, "train", TrainConfig)
    return Run.of(changed, PhotoSet.open(layout.prepare / "train"), layout)


def with_code(run: Run, layout: Layout, **files: str) -> Run:
    """The same run, of other code."""
    identity = "f" * 64
    return replace(
        run, identity=identity, folder=layout.state / f"train-{identity[:16]}", code={**run.code, **files}
    )


def begin(run: Run) -> tuple[int, list[str]]:
    told: list[str] = []
    return run.begin(told.append), told


def test_the_first_run_starts_without_a_word(config: TrainConfig, layout: Layout) -> None:
    run = run_of(config, layout)
    assert begin(run) == (0, [])
    note = read_json(run.folder / "run.json")
    assert note["fingerprint"] == run.identity
    assert note["options"] == config.identity()


def test_a_checkpoint_is_gone_on_from(config: TrainConfig, layout: Layout) -> None:
    run = run_of(config, layout)
    run.store.save(4, {})
    step, told = begin(run)
    assert step == 4
    assert "resuming from step 4" in told[0]


def test_a_damaged_one_is_told_and_the_one_before_is_used(config: TrainConfig, layout: Layout) -> None:
    run = run_of(config, layout)
    for step in (2, 4):
        run.store.save(step, {})
    (run.folder / "checkpoints" / "step-00000004" / "state.pt").write_bytes(b"")
    step, told = begin(run)
    assert step == 2
    assert "step 4" in told[0]
    assert "damaged" in told[0]
    (run.folder / "checkpoints" / "step-00000002" / "state.pt").unlink()
    with pytest.raises(CheckpointError, match="2 damaged"):
        begin(run)


def test_another_run_starts_clean_and_says_why(config: TrainConfig, layout: Layout) -> None:
    begin(run_of(config, layout))
    other = run_of(config, layout, seed=3, optimizer={"warmup_steps": 2, "lr": 0.5})
    _, [told] = begin(other)
    assert "starting clean" in told
    assert told.endswith("since the last run train.optimizer.lr was 0.002, is 0.5; train.seed was 0, is 3")
    moved = replace(other, photos_sha256="0", folder=layout.state / "train-1", identity="1")
    assert begin(moved)[1][0].endswith("since the last run the training photographs changed")
    changed = with_code(moved, layout, **{"pipelines/training/loop.py": "0"})
    assert begin(changed)[1][0].endswith(
        "since the last run training code changed (pipelines/training/loop.py)"
    )


def test_changed_code_is_accepted_on_request_and_recorded(config: TrainConfig, layout: Layout) -> None:
    before = run_of(config, layout)
    begin(before)
    before.store.save(4, {"x": 1})
    (before.folder / "log.jsonl").write_text("{}\n")
    after = with_code(before, layout, **{"pipelines/training/loop.py": "0"})
    told: list[str] = []
    after.accept(told.append)
    assert "from step 4 on: training code changed (pipelines/training/loop.py)" in told[0]
    assert after.store.load(4) == {"x": 1}
    assert begin(after)[0] == 4
    assert after.lineage == [
        {"fingerprint": before.identity, "step": 4, "code": ["pipelines/training/loop.py"]}
    ]
    assert (after.folder / "log.jsonl").exists()
    shutil.rmtree(after.folder / "checkpoints")
    assert begin(after)[0] == 0
    assert after.lineage == []
    after.store.save(2, {})
    after.accept(told.append)  # it has a checkpoint of its own by now
    assert len(told) == 1


def under(run: Run, **versions: str) -> Run:
    """The same run, under other versions."""
    return replace(run, versions={**run.versions, **versions})


def test_a_run_that_goes_on_under_other_versions_says_so_once_and_keeps_both(
    config: TrainConfig, layout: Layout
) -> None:
    run = under(run_of(config, layout), torch="2.14.1", numpy="2.3")
    begin(run)
    run.store.save(4, {})
    after = under(run, torch="2.15.0", numpy="2.4")
    step, [said] = begin(after)
    assert step == 4
    assert "numpy 2.4 (was 2.3); torch 2.15.0 (was 2.14.1)" in said
    assert begin(after) == (4, [f"resuming from step 4, in {run.folder}"])
    changed = {"numpy": {"was": "2.3", "is": "2.4"}, "torch": {"was": "2.14.1", "is": "2.15.0"}}
    assert after.lineage == [{"fingerprint": run.identity, "step": 4, "versions": changed}]
    assert read_json(run.folder / "run.json")["versions"] == after.versions


def test_a_run_that_has_ended_keeps_the_versions_it_had(config: TrainConfig, layout: Layout) -> None:
    run = run_of(config, layout)
    begin(run)
    run.store.save(config.steps, {})
    after = under(run, torch="2.15.0")
    assert begin(after) == (config.steps, [f"resuming from step {config.steps}, in {run.folder}"])
    assert after.lineage == []
    assert read_json(run.folder / "run.json")["versions"] == run.versions


def test_a_run_that_was_written_down_without_versions_goes_on(config: TrainConfig, layout: Layout) -> None:
    run = run_of(config, layout)
    begin(run)
    run.store.save(4, {})
    note = read_json(run.folder / "run.json")
    del note["versions"]
    write_json_atomic(run.folder / "run.json", note)
    assert begin(run) == (4, [f"resuming from step 4, in {run.folder}"])
    assert read_json(run.folder / "run.json")["versions"] == run.versions


def test_a_full_disk_is_told(config: TrainConfig, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(config, layout)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match=rf"{run.folder}.*No space"):
        begin(run)
    assert list(run.folder.iterdir()) == []


def test_only_code_may_differ(config: TrainConfig, layout: Layout) -> None:
    before = run_of(config, layout)
    begin(before)
    before.store.save(4, {})
    other = run_of(config, layout, seed=1)
    told: list[str] = []
    other.accept(told.append)
    assert "accept" in told[0]
    assert other.store.newest() is None


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 2}'])
def test_a_note_of_another_kind_is_passed_over(config: TrainConfig, layout: Layout, text: str) -> None:
    (layout.state / "train-0").mkdir(parents=True)
    (layout.state / "train-0" / "run.json").write_text(text)
    assert begin(run_of(config, layout)) == (0, [])
