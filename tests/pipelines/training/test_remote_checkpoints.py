"""Checkpoints in an S3 bucket, through a real server on this machine; the machines are folders."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError, DataError
from pipelines.core.layout import Layout
from pipelines.data.photos import PhotoSet
from pipelines.doctor.data import check_storage
from pipelines.doctor.dry_run import describe_training
from pipelines.running.local import run_local
from pipelines.running.run import Run
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.config import TrainConfig
from pipelines.training.log import RunLog
from pipelines.training.loop import Hooks, Stopped

pytestmark = [pytest.mark.server, pytest.mark.slow]

URL = "s3://data/runs/train-1"


def state(step: int) -> dict[str, torch.Tensor]:
    return {"x": torch.full((3,), float(step))}


def open_store(folder: Path, url: str = URL) -> CheckpointStore:
    return CheckpointStore(folder / "checkpoints", "print", keep=2, storage=url)


def keys(s3: Any) -> list[str]:
    found = s3.list_objects_v2(Bucket="data", Prefix="runs/").get("Contents", [])
    return sorted(entry["Key"].removeprefix("runs/train-1/") for entry in found)


def test_checkpoints_are_copied_and_another_machine_fetches_the_newest(s3: Any, tmp_path: Path) -> None:
    one, two = open_store(tmp_path / "one"), open_store(tmp_path / "two")
    said: list[str] = []
    two.pull(said.append)  # there is nothing yet
    log = tmp_path / "one" / "log.jsonl"
    log.parent.mkdir()
    log.write_text('{"step": 2}\n\n{"step": 6}\n')
    for step in (2, 4, 6):
        one.save(step, state(step))
    assert [key.split("/")[0] for key in keys(s3)] == ["log.jsonl"] + ["step-00000004"] * 2 + [
        "step-00000006"
    ] * 2

    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "log.jsonl").write_text('{"step": 2}\n{"step": 3}\n')  # it had begun the run
    two.pull(said.append)
    assert two.newest() == 6
    assert torch.equal(two.load(6)["x"], state(6)["x"])
    assert len(said) == 1
    assert "step 6" in said[0]
    lines = (tmp_path / "two" / "log.jsonl").read_text().split()
    assert [json.loads("".join(pair))["step"] for pair in zip(lines[::2], lines[1::2], strict=True)] == [
        2,
        3,
        6,
    ]
    two.pull(said.append)
    one.pull(said.append)
    assert len(said) == 1

    # A copy that broke off before its marker, and one that is damaged, are not resumed from.
    two.save(8, state(8))
    s3.put_object(Bucket="data", Key="runs/train-1/step-00000010/state-0.pt", Body=b"half")
    [broken] = [key for key in keys(s3) if key.startswith("step-00000008/state-")]
    s3.put_object(Bucket="data", Key=f"runs/train-1/{broken}", Body=b"other")
    s3.delete_object(Bucket="data", Key="runs/train-1/step-00000004/complete.json")
    three = open_store(tmp_path / "three")
    three.pull(said.append)
    assert three.newest() == 6
    assert "step 8" in said[1]
    with pytest.raises(DataError, match="step 6"):  # it is another run's
        CheckpointStore(tmp_path / "four" / "checkpoints", "other", storage=URL).pull()


def test_a_storage_that_refuses_loses_nothing(
    s3: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(tmp_path / "one", "s3://nobody/runs/train-1")
    store.save(2, state(2))
    assert "step 2" in caplog.text
    assert store.newest() == 2
    with pytest.raises(DataError, match="s3://nobody"):
        store.push()
    s3.create_bucket(Bucket="nobody")
    store.push()
    again = open_store(tmp_path / "two", "s3://nobody/runs/train-1")
    again.pull()
    assert again.newest() == 2
    for entry in s3.list_objects_v2(Bucket="nobody")["Contents"]:
        s3.delete_object(Bucket="nobody", Key=entry["Key"])
    s3.delete_bucket(Bucket="nobody")


def test_a_run_resumes_on_another_machine(
    s3: Any, layout: Layout, config: TrainConfig, tmp_path: Path
) -> None:
    compute = {"runner": "local", "storage": "s3://data/runs"}
    config = parse_section(config.model_dump() | {"compute": compute}, "train", TrainConfig)
    photos = PhotoSet.open(layout.prepare / "train")
    first = Run.of(config, photos, layout)
    assert first.identity == Run.of(replace_storage(config), photos, layout).identity
    first.begin(lambda message: None)
    note = json.loads((first.folder / "run.json").read_text())
    note["versions"]["torch"] = "1.0"
    (first.folder / "run.json").write_text(json.dumps(note))
    first.store.push([first.folder / "run.json"])
    polled = iter(range(100))
    with pytest.raises(Stopped):
        run_local(first.make_job(config, layout), Hooks(stop=lambda: next(polled) == 2))
    assert first.store.newest() == 3

    other = Layout(tmp_path / "other")
    shutil.copytree(layout.prepare, other.prepare)
    assert "step 3 of 6" in "".join(describe_training(config, other))
    assert not other.state.exists()
    second, said = Run.of(config, PhotoSet.open(other.prepare / "train"), other), list[str]()
    assert second.begin(said.append) == 3
    assert "s3://data/runs" in said[0]
    assert "(was 1.0)" in said[1]
    assert [event["step"] for event in second.lineage] == [3]
    network = run_local_network(second, config, other)
    whole = run_local_network(replace(second, folder=tmp_path / "whole"), replace_storage(config), other)
    assert all(torch.equal(network[name], whole[name]) for name in whole)
    assert [point.step for point in RunLog(second.folder).curve(6)] == [2, 4, 6]

    second.store.push([second.log.path], "artifacts")
    assert s3.head_object(Bucket="data", Key=f"runs/{second.folder.name}/artifacts/log.jsonl")
    assert [finding.level for finding in check_storage("s3://data/runs")] == ["ok"]
    assert not s3.list_objects_v2(Bucket="data", Prefix="runs/doctor").get("Contents")
    assert [finding.level for finding in check_storage("s3://nobody/runs")] == ["fault"]
    assert first.begin(said.append) == 6  # and back
    assert first.lineage == second.lineage
    assert [point.step for point in first.log.curve(6)] == [2, 4, 6]


def replace_storage(config: TrainConfig) -> TrainConfig:
    return parse_section(config.model_dump() | {"compute": {"runner": "local"}}, "train", TrainConfig)


def run_local_network(run: Run, config: TrainConfig, layout: Layout) -> dict[str, torch.Tensor]:
    job = run.make_job(config, layout)
    run_local(job, Hooks())
    return dict(job.load_network().state_dict())


def test_a_storage_is_a_url_without_a_password() -> None:
    for place in ("/mnt/runs", "s3://key:secret@bucket/runs"):
        with pytest.raises(ConfigError, match="storage"):
            parse_section({"compute": {"storage": place}}, "train", TrainConfig)
