"""A whole run at a size of seconds: what the report holds."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.cost.__main__ import main
from benchmarks.cost.measure import Plan, measure
from benchmarks.cost.report import Row, markdown
from benchmarks.cost.timing import Timing
from benchmarks.cost.variants import Subject, Task, Variants

EDSR = Subject("edsr", {"width": 8, "blocks": 1})
TASKS = (Task("inference", 1, 8), Task("inference", 6, 8), Task("training", 6, 8))


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    plan = Plan(threads=1, rounds=4, warmup=1, budget_s=60.0, memory=False, tasks=TASKS)
    return measure([EDSR], plan)


def rows(report: dict[str, Any], task: Task) -> dict[str, dict[str, Any]]:
    return {row["variant"]: row for row in report["networks"][0]["rows"] if row["task"] == str(task)}


def test_every_task_has_its_variants(report: dict[str, Any]) -> None:
    single, batch, training = (set(rows(report, task)) for task in TASKS)
    assert single == {"plain", "folded", "one omega", "one omega, low rank", "published layer, per sample"}
    assert batch - single == {"4 groups", "per sample", "per sample, low rank"}
    assert training == batch - {"folded", "per sample, low rank"}


def test_ratios_are_to_the_plain_network(report: dict[str, Any]) -> None:
    for row in report["networks"][0]["rows"]:
        assert row["rounds"] in (3, 4)  # three where it was slow
        assert row["median_ms"] > 0
        assert row["ratio_q1"] <= row["ratio"] <= row["ratio_q3"]
        if row["variant"] == "plain":
            assert row["ratio"] == row["ratio_q1"] == row["ratio_q3"] == 1


def test_limits_say_whether_they_are_met(report: dict[str, Any]) -> None:
    row = rows(report, TASKS[2])["one omega"]
    assert row["limit"] == 1.10
    assert isinstance(row["met"], bool)
    assert rows(report, TASKS[2])["4 groups"]["met"] is None


@pytest.mark.parametrize(
    ("ratio", "limit", "met"), [(1.10, 1.10, True), (1.1001, 1.10, False), (9.0, None, None)]
)
def test_a_limit_is_met_up_to_itself(ratio: float, limit: float | None, met: bool | None) -> None:
    timing = Timing(median_ms=1.0, ratio=ratio, ratio_q1=ratio, ratio_q3=ratio, rounds=4)
    row = Row(task="training", variant="one omega", timing=timing, limit=limit, peak_mib=None)
    assert row.to_dict()["met"] is met


def test_parameters(report: dict[str, Any]) -> None:
    counts = report["networks"][0]["parameters"]
    assert counts["tunable"] == 3 * counts["plain"]
    assert counts["published"] == 2 * counts["plain"]
    assert counts["plain"] < counts["low_rank"] < counts["tunable"]
    assert counts["met"] is (counts["low_rank"] / counts["plain"] <= 1.15)


def test_the_report_is_json_and_a_table(report: dict[str, Any]) -> None:
    assert json.loads(json.dumps(report))["networks"] == report["networks"]
    table = [line for line in markdown(report).splitlines() if line.startswith("| ")]
    assert len(table) == 1 + len(report["networks"][0]["rows"])


def test_threads_are_put_back(report: dict[str, Any]) -> None:
    before = torch.get_num_threads()
    measure([], Plan(threads=before + 1, memory=False))
    assert torch.get_num_threads() == before


def test_low_rank_is_the_highest_within_the_limit() -> None:
    variants = Variants(Subject("edsr", {"width": 32, "blocks": 1}), torch.device("cpu"))
    plain = sum(p.numel() for p in variants.plain.parameters())
    low = sum(p.numel() for p in variants.low_rank.parameters())
    assert variants.rank >= 1
    assert low <= 1.15 * plain


def test_the_command_writes_both_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("benchmarks.cost.__main__.DEFAULT_OPTIONS", {"edsr": EDSR.options})
    monkeypatch.setattr("benchmarks.cost.__main__.Plan", partial(Plan, tasks=TASKS[:1]))
    main(["--networks", "edsr", "--repeats", "3", "--threads", "1", "--no-memory", "--out", str(tmp_path)])
    report = json.loads((tmp_path / "cpu.json").read_text())
    assert report["settings"]["rounds"] == 3
    assert report["networks"][0]["options"] == EDSR.options
    assert (tmp_path / "cpu.md").read_text() == markdown(report)


def test_too_few_rounds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--repeats", "2"])
    assert "expected 3 at least, got 2" in capsys.readouterr().err
