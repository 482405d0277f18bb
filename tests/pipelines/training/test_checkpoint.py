import os
import shutil
from pathlib import Path

import pytest
import torch

from full_disk import full
from pipelines.core.errors import CheckpointError, TrainingError
from pipelines.training.checkpoint import MARKER, STATE, CheckpointStore


def state(step: int) -> dict[str, torch.Tensor]:
    return {"x": torch.full((3,), float(step))}


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    store = CheckpointStore(tmp_path / "run", "print", keep=2)
    for step in (2, 4, 6):
        store.save(step, state(step))
    return store


def folder(tmp_path: Path, step: int) -> Path:
    return tmp_path / "run" / f"step-{step:08d}"


def test_the_newest_come_back_and_the_oldest_go(store: CheckpointStore, tmp_path: Path) -> None:
    assert store.newest() == 6
    assert torch.equal(store.load(6)["x"], state(6)["x"])
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["step-00000004", "step-00000006"]


def test_an_empty_store_has_none(tmp_path: Path) -> None:
    assert CheckpointStore(tmp_path / "nothing", "print").newest() is None


def damage_state(path: Path) -> None:
    data = bytearray((path / STATE).read_bytes())
    data[len(data) // 2] ^= 1
    (path / STATE).write_bytes(data)


DAMAGES = [
    damage_state,
    lambda path: (path / STATE).write_bytes(b""),
    lambda path: (path / STATE).unlink(),
    lambda path: (path / MARKER).unlink(),
    lambda path: (path / MARKER).write_text("{"),
    lambda path: (path / MARKER).write_text("[]"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_counts_as_absent(store: CheckpointStore, tmp_path: Path, damage: object) -> None:
    damage(folder(tmp_path, 6))  # type: ignore[operator]
    assert store.newest() == 4
    with pytest.raises(CheckpointError, match="step 6"):
        store.load(6)


def test_all_damaged_is_an_error_not_a_fresh_start(store: CheckpointStore, tmp_path: Path) -> None:
    for step in (4, 6):
        damage_state(folder(tmp_path, step))
    with pytest.raises(CheckpointError, match="2 damaged"):
        store.newest()


def test_damaged_ones_ahead_make_room(store: CheckpointStore, tmp_path: Path) -> None:
    damage_state(folder(tmp_path, 6))
    assert store.newest() == 4
    store.save(5, state(5))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["step-00000004", "step-00000005"]


def test_another_runs_checkpoint_does_not_count(store: CheckpointStore, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        CheckpointStore(tmp_path / "run", "other").newest()


def test_what_else_lies_among_them_is_passed_over(store: CheckpointStore, tmp_path: Path) -> None:
    copy = shutil.copytree(folder(tmp_path, 6), tmp_path / "run" / "step-00000006-good")
    strays = [
        "step-7",
        "step-00000008~",
        ".step-00000008.swp",
        "step-000000009",
        "step-best",
        "step-٠٠٠٠٠٠٠٩",
    ]
    for stray in strays:
        (tmp_path / "run" / stray).touch()
    assert store.newest() == 6
    store.save(10, state(10))
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == {copy.name, *strays, "step-00000006", "step-00000010"}


def test_a_step_of_more_digits_is_one(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "run", "print")
    for step in (99_999_999, 100_000_000):
        store.save(step, state(step))
    assert store.newest() == 100_000_000


@pytest.mark.parametrize("step", ["pathlib.Path.mkdir", "pathlib.Path.open", "os.fsync", "os.rename"])
def test_a_full_disk_is_told_and_nothing_half_written_is_left(
    store: CheckpointStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(step, full)
        with pytest.raises(
            TrainingError,
            match=rf"0\.\d\d MB for the checkpoint of step 8 in {tmp_path / 'run'}.* MB free now",
        ):
            store.save(8, state(8))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["step-00000004", "step-00000006"]
    assert torch.equal(store.load(6)["x"], state(6)["x"])
    store.save(8, state(8))
    assert store.newest() == 8


def test_a_crash_at_any_write_leaves_the_old_or_the_new(
    store: CheckpointStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = set()
    real = os.fsync
    for fatal in range(1, 8):
        calls = 0

        def fsync(descriptor: int, fatal: int = fatal) -> None:
            nonlocal calls
            calls += 1
            if calls == fatal:
                raise KeyboardInterrupt
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        step = 10 + fatal
        try:
            store.save(step, state(step))
            saved = True
        except KeyboardInterrupt:
            saved = False
        monkeypatch.setattr(os, "fsync", real)
        newest = store.newest()
        assert newest is not None
        assert torch.equal(store.load(newest)["x"], state(newest)["x"])
        assert newest == step or not saved
        outcomes.add(saved)
    assert outcomes == {True, False}
