from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pipelines.errors import TrainingError
from pipelines.records import read_json
from pipelines.search.results.writing import write_results
from pipelines.search.trial_record import Point
from search_trials import GAP, VOLUME, search, trial

FILES = {
    *("trials.parquet", "trials.csv", "configurations.csv", "front.csv", "settings.csv", "importance.csv"),
    *("front.png", "parallel.png", "plots/trials.csv", "plots/parallel.csv", "params.yaml", "record.json"),
}


@pytest.fixture
def params(tmp_path: Path) -> Path:
    path = tmp_path / "source.yaml"
    path.write_text("train:\n  optimizer: {lr: 0.1}\n")
    return path


def changes(point: Point) -> Mapping[str, Any]:
    return {"train.optimizer.lr": point["lr"]}


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_everything_is_written_and_agrees(params: Path, tmp_path: Path) -> None:
    best = write_results(tmp_path / "out", search(6), [VOLUME, GAP], source_params=params, changes_of=changes)
    assert set(files(tmp_path / "out")) == FILES
    record = read_json(tmp_path / "out" / "record.json")
    assert record["trials"] == {"completed": 12, "pruned": 1, "failed": 1, "unfinished": 0}
    assert record["configurations"] == {"tried": 8, "ranked": 6}
    assert record["best"]["configuration"] == best.number
    assert record["best"]["point"] == best.point
    assert record["best"]["measures"]["hypervolume"]["mean"] == best.mean("hypervolume")
    front = pd.read_csv(tmp_path / "out" / "front.csv")
    assert [entry["configuration"] for entry in record["front"]] == list(front["configuration"])
    written = yaml.safe_load((tmp_path / "out" / "params.yaml").read_text())
    assert written == {"train": {"optimizer": {"lr": best.point["lr"]}}}


def test_times_change_the_table_of_trials_alone(params: Path, tmp_path: Path) -> None:
    records = search(5)
    later = [replace(record, seconds=record.seconds + 1) for record in records]
    for name, trials in (("a", records), ("b", later)):
        write_results(tmp_path / name, trials, [VOLUME], source_params=params, changes_of=changes)
    first, second = files(tmp_path / "a"), files(tmp_path / "b")
    assert {name for name in first if first[name] != second[name]} == {"trials.parquet", "trials.csv"}


def test_without_a_winner_the_trials_are_told_and_nothing_of_an_older_search_stays(
    params: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    write_results(folder, search(4), [VOLUME], source_params=params, changes_of=changes)
    failed = [trial(0, {"lr": 0.1}, None, state="failed", reason="no space left")]
    with pytest.raises(TrainingError, match="1 failed; the first: no space left"):
        write_results(folder, failed, [VOLUME], source_params=params, changes_of=changes)
    assert set(files(folder)) == {"trials.parquet", "trials.csv"}
    assert list(pd.read_csv(folder / "trials.csv")["reason"]) == ["no space left"]


def test_seeds_that_nobody_has_begun_with_are_counted(params: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="1 trial completed, but no configuration did with all 3 seeds"):
        write_results(
            tmp_path / "out",
            [trial(0, {"lr": 0.1})],
            [VOLUME],
            source_params=params,
            changes_of=changes,
            seeds=(0, 1, 2),
        )


def test_trials_that_are_unfinished_keep_no_verdict_back(params: Path, tmp_path: Path) -> None:
    records = [*search(2), trial(6, {"lr": 0.1}, None, state="unfinished")]
    write_results(tmp_path / "out", records, [VOLUME], source_params=params, changes_of=changes)
    assert set(files(tmp_path / "out")) == FILES
    assert read_json(tmp_path / "out" / "record.json")["trials"]["unfinished"] == 1
