import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pipelines.core.errors import TrainingError
from pipelines.core.records import read_json
from pipelines.search.axes import Point
from pipelines.search.results.configurations import Configuration
from pipelines.search.results.writing import write_results
from search_trials import GAP, VOLUME, search, trial

pytestmark = pytest.mark.slow

FILES = {
    *("trials.parquet", "trials.csv", "configurations.csv", "front.csv", "settings.csv", "importance.csv"),
    *("front.png", "plots/trials.csv", "plots/parallel.csv", "params.yaml", "record.json"),
}


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("params") / "source.yaml"
    path.write_text("train:\n  optimizer: {lr: 0.1}\n")
    return path


def changes(point: Point) -> Mapping[str, Any]:
    return {"train.optimizer.lr": point["lr"]}


@pytest.fixture(scope="module")
def written(params: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Configuration]:
    """The results of six configurations, for reading alone, and the best of these: figures take a second."""
    folder = tmp_path_factory.mktemp("written")
    return folder, write_results(folder, search(6), [VOLUME, GAP], source_params=params, changes_of=changes)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_everything_is_written_and_agrees(written: tuple[Path, Configuration]) -> None:
    folder, best = written
    assert set(files(folder)) == FILES
    record = read_json(folder / "record.json")
    assert record["trials"] == {"completed": 12, "pruned": 1, "failed": 1, "unfinished": 0}
    assert record["configurations"] == {"tried": 8, "ranked": 6}
    assert record["best"]["configuration"] == best.number
    assert record["best"]["point"] == best.point
    assert record["best"]["measures"]["hypervolume"]["mean"] == best.mean("hypervolume")
    front = pd.read_csv(folder / "front.csv")
    assert [entry["configuration"] for entry in record["front"]] == list(front["configuration"])
    written = yaml.safe_load((folder / "params.yaml").read_text())
    assert written == {"train": {"optimizer": {"lr": best.point["lr"]}}}


def test_times_change_the_table_of_trials_alone(
    written: tuple[Path, Configuration], params: Path, tmp_path: Path
) -> None:
    later = [replace(record, seconds=record.seconds + 1) for record in search(6)]
    write_results(tmp_path, later, [VOLUME, GAP], source_params=params, changes_of=changes)
    first, second = files(written[0]), files(tmp_path)
    assert first.keys() == second.keys()
    assert {name for name in first if first[name] != second[name]} == {"trials.parquet", "trials.csv"}


def test_without_a_winner_the_trials_are_written_and_nothing_of_an_older_search_stays(
    written: tuple[Path, Configuration], params: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(written[0], tmp_path / "out")
    failed = [trial(0, {"lr": 0.1}, None, state="failed", reason="no space left")]
    with pytest.raises(TrainingError, match=r"1 failed; .*no space left"):
        write_results(folder, failed, [VOLUME], source_params=params, changes_of=changes)
    assert set(files(folder)) == {"trials.parquet", "trials.csv"}
    assert list(pd.read_csv(folder / "trials.csv")["reason"]) == ["no space left"]


def test_seeds_without_any_trial_are_counted(params: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"1 trial completed, .*all 3 seeds"):
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
