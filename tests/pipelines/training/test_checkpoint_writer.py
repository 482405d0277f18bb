import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from full_disk import full
from pipelines.core.errors import TrainingError
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.checkpoint_writer import CheckpointWriter


class HeldStore(CheckpointStore):
    """Writes only when it is let."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "print")
        self.go = threading.Event()
        self.begun: list[int] = []

    def save(self, step: int, state: dict[str, Any]) -> None:
        self.begun.append(step)
        self.go.wait()
        super().save(step, state)


@pytest.fixture
def store(tmp_path: Path) -> HeldStore:
    return HeldStore(tmp_path / "run")


@pytest.fixture
def writer(store: HeldStore) -> Iterator[CheckpointWriter]:
    with CheckpointWriter(store) as writer:
        yield writer
        store.go.set()


def state(value: float) -> dict[str, Any]:
    weight = torch.full((2, 3, 4, 4), value).to(memory_format=torch.channels_last)
    network = torch.nn.BatchNorm2d(3).state_dict() | {"w": weight}
    return {"network": network, "optimizer": {"state": {0: {"step": value}}, "groups": [{"lr": value}]}}


def check_until_raised(writer: CheckpointWriter) -> None:
    while True:
        writer.check()


def test_training_goes_on_while_a_checkpoint_is_written(store: HeldStore, writer: CheckpointWriter) -> None:
    live = state(1.0)
    writer.save(2, live)
    live["network"]["w"] += 1  # the next step
    writer.check()
    assert store.newest() is None
    store.go.set()
    writer.wait()
    assert store.newest() == 2
    found = store.load(2)
    assert torch.equal(found["network"]["w"], state(1.0)["network"]["w"])
    assert found["network"]["w"].is_contiguous(memory_format=torch.channels_last)
    assert found["optimizer"] == live["optimizer"]
    assert found["network"].keys() == live["network"].keys()


def test_versions_of_modules_are_kept(tmp_path: Path) -> None:
    store, network = CheckpointStore(tmp_path / "run", "print"), torch.nn.BatchNorm2d(3)
    with CheckpointWriter(store) as writer:
        writer.save(2, {"network": network.state_dict()})
    assert store.load(2)["network"]._metadata == network.state_dict()._metadata  # type: ignore[attr-defined]


def test_a_process_that_ends_at_once_does_not_wait(store: HeldStore) -> None:
    writer = CheckpointWriter(store)
    with suppress(KeyboardInterrupt), writer:
        writer.save(2, state(2.0))
        raise KeyboardInterrupt
    assert store.newest() is None
    store.go.set()
    writer.wait()


def test_one_is_written_at_a_time_and_the_last_is_awaited(store: HeldStore, writer: CheckpointWriter) -> None:
    writer.save(2, state(2.0))
    second = threading.Thread(target=writer.save, args=(4, state(4.0)))
    second.start()
    assert second.is_alive()
    assert store.begun == [2]  # the copy of the first is still needed
    store.go.set()
    second.join()
    with writer:
        pass
    assert store.begun == [2, 4]
    for step in (2, 4):
        assert torch.equal(store.load(step)["network"]["w"], state(step)["network"]["w"])


def test_a_fault_is_raised_at_the_next_step(
    store: HeldStore, writer: CheckpointWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.go.set()
    monkeypatch.setattr("os.rename", full)
    writer.save(2, state(1.0))
    with pytest.raises(TrainingError, match="step 2"):
        check_until_raised(writer)
    writer.check()  # once
    writer.save(4, state(1.0))
    with pytest.raises(TrainingError, match="step 4"):
        writer.save(6, state(1.0))
    monkeypatch.undo()
    writer.save(8, state(8.0))
    writer.wait()
    assert store.newest() == 8
