from pathlib import Path

import pandas as pd
import pytest

from pipelines.core.errors import DataError
from pipelines.search.results.tables import (
    configurations_frame,
    settings_frame,
    trials_frame,
    write_csv,
    write_parquet,
)
from search_trials import GAP, VOLUME, search, trial

ENDS = ["a 0 b 0", "a 1 b 0", "a 0 b 1", "a 1 b 1"]


def test_a_row_a_trial_in_order_of_start() -> None:
    records = search(4)
    frame = trials_frame(records[::-1])
    assert list(frame["trial"]) == list(range(10))
    assert list(frame["configuration"]) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 5]
    assert list(frame.columns[:4]) == ["trial", "configuration", "state", "seed"]
    assert list(frame.columns[-4:]) == ["step", "seconds", "reason", "fingerprint"]
    assert frame["reason"][8] == "the loss is nan at step 20"
    assert pd.isna(frame["hypervolume"][8])
    assert frame["hypervolume"][3] == records[3].measures["hypervolume"]


def test_null_whole_numbers_and_missing_stay_apart() -> None:
    records = [
        trial(0, {"rank": None, "group": 4, "lr": 0.1}),
        trial(1, {"rank": 4, "group": 1, "beta.a": 2}),
        trial(2, {"rank": 4, "group": 1, "lr": 1.0}),
    ]
    frame = trials_frame(records)
    assert list(frame["rank"]) == ["none", "4", "4"]
    assert frame["group"].dtype == "Int64"
    assert list(frame["beta.a"].isna()) == [True, False, True]
    assert list(frame["lr"].isna()) == [False, True, False]


def test_files_are_the_same_for_the_same_trials_and_read_back(tmp_path: Path) -> None:
    records = search(6)
    for name in ("a", "b"):
        write_parquet(trials_frame(records), tmp_path / f"{name}.parquet")
        write_csv(trials_frame(records), tmp_path / f"{name}.csv")
        records = records[::-1]
    for kind in ("parquet", "csv"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    frame = trials_frame(records)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), frame)
    read = pd.read_csv(tmp_path / "a.csv", dtype={"lr": str})  # some versions of pandas round the last digit
    assert [float(text) for text in read["lr"]] == list(frame["lr"])
    assert list(read["rank"]) == list(frame["rank"])


def test_a_row_a_configuration_the_best_first() -> None:
    frame = configurations_frame(search(6, seeds=3), [VOLUME, GAP])
    ranked = frame[frame["place"].notna()]
    assert list(ranked["place"]) == list(range(1, 7))
    assert ranked["hypervolume"].is_monotonic_decreasing
    assert set(ranked["seeds"]) == {3}
    assert bool((ranked["hypervolume_std"] > 0).all())
    assert list(frame["configuration"][6:]) == [6, 7]
    assert list(frame["seeds"][6:]) == [0, 0]
    assert bool(frame["front"][0])
    assert not frame["front"][6:].any()


def test_the_front_is_some_of_these_rows() -> None:
    frame = configurations_frame(search(6), [VOLUME, GAP])
    front = configurations_frame(search(6), [VOLUME, GAP], front_only=True)
    assert list(front["configuration"]) == list(frame["configuration"][frame["front"]])
    assert list(front.columns) == list(frame.columns)


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match="'seed'"):
        trials_frame([trial(0, {"seed": 1})])


def test_a_row_a_trial_and_setting() -> None:
    records = search(2)  # four trials of nine settings, and two that were not scored at any
    table = settings_frame(records, ENDS)
    assert len(table) == 4 * 9
    assert list(table.columns[3:]) == ["omega_1", "omega_2", *(f"loss {end}" for end in ENDS)]
    third = table[table["trial"] == 2]
    assert set(third["configuration"]) == {1}
    assert list(third["omega_1"]) == [setting["omega"][0] for setting in records[2].settings]
    wanted = [setting["objectives"][3] for setting in records[2].settings]
    assert list(third["loss a 1 b 1"]) == wanted
    assert list(settings_frame(records).columns[5:]) == ["loss 1", "loss 2", "loss 3", "loss 4"]


def test_no_settings_no_rows() -> None:
    assert settings_frame([trial(1, {"lr": 0.1})]).empty
