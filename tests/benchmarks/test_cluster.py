"""A node is killed and another one comes, for real; minutes long."""

from pathlib import Path

import pytest

from benchmarks.cluster import play


@pytest.mark.faults
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Ray leaves sockets and files to the collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_run_that_loses_a_node_ends_with_the_right_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    report = play(tmp_path, steps=3000)
    assert report["right"], report
    assert report["every_step_is_there"]
