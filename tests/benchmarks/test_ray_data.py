"""The benchmark of Ray Data: its rows, and, minutes long, a whole run with its kill."""

import json
from pathlib import Path

import pytest

from benchmarks import ray_data


def test_a_row_is_of_medians_over_the_rounds() -> None:
    row = ray_data._make_row("Ray Data", [1.0, 4.0, 3.0], [2.0, 4.0, 2.0])
    assert row == {"name": "Ray Data", "pictures_per_s": 3.0, "least": 1.0, "most": 4.0, "ratio": 1.0}


@pytest.mark.faults
@pytest.mark.cluster
def test_a_killed_job_makes_exactly_what_is_missing(tmp_path: Path) -> None:
    ray_data.main(["--count", "24", "--rounds", "2", "--side-px", "64", "--out", str(tmp_path)])
    report = json.loads((tmp_path / "cpu.json").read_text())
    kill = report["kill"]
    assert report["differing_files"] == 0
    assert kill["results_when_killed"] + kill["missing"] == kill["pictures"] == 24
    assert kill["made_by_the_second_run"] == kill["missing"] > 0
    assert kill["made_twice"] == kill["missing_in_the_end"] == 0
    assert "over the plain pool" in (tmp_path / "cpu.md").read_text()
