import json
from pathlib import Path

import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

from pipelines.tracking.tensorboard import FOLDER, EventFiles


def read_events(folder: Path) -> list[tuple[str, int]]:
    """Name and step of every value in the event files."""
    found = []
    for path in sorted((folder / FOLDER).iterdir()):
        data = path.read_bytes()
        while data:  # length, its checksum, the event, its checksum
            size = int.from_bytes(data[:8], "little")
            event = Event.FromString(data[12 : 12 + size])
            found += [(value.tag, event.step) for value in event.summary.value]
            data = data[16 + size :]
    return found


def log(folder: Path, *steps: int) -> None:
    with (folder / "log.jsonl").open("a") as file:
        file.writelines(json.dumps({"step": step, "time_s": 1.0, "loss": 0.5}) + "\n" for step in steps)


def test_event_files_have_each_step_once_also_of_a_run_that_resumed(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "samples" / "step-00000002.png")
    log(tmp_path, 1, 2, 3)
    with EventFiles(tmp_path, every_s=0.01):
        pass
    assert sorted(read_events(tmp_path)) == [("sliders", 2), *(("train/loss", step) for step in (1, 2, 3))]
    log(tmp_path, 3, 4)
    with EventFiles(tmp_path, every_s=0.01):
        log(tmp_path, 5)
    events = [event for event in read_events(tmp_path) if event[0] == "train/loss"]
    assert events == [("train/loss", step) for step in (1, 2, 3, 4, 5)]


def test_a_fault_is_reported_and_not_raised(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "step-1.png").write_bytes(b"none")
    with EventFiles(tmp_path, every_s=0.01):
        pass
    assert "tensorboard" in caplog.text
