import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import tasks
from pipelines.recipes import TASKS
from tunable_models import ControlSpace, build, make_tunable

SPACE = ControlSpace.box("denoise", "deblur")


def leave(folder: Path, rank: int | None, dead: list[str]) -> None:
    """What is kept of a run."""
    folder.mkdir()
    metrics = {
        "sliders": {"range_db": {"denoise": 3.0, "deblur": 0.04}, "dead": dead},
        "monotonicity": {name: {"violations": 1, "pairs": 20} for name in SPACE.names},
    }
    record = {
        "architecture": {"id": "edsr", "config": {"width": 8, "blocks": 1}},
        "basis": "delta",
        "rank": rank,
        "space": SPACE.to_dict(),
        "steps": 7,
    }
    files = {"metrics.json": metrics, "record.json": record, "provenance.json": {"training_seconds": "5"}}
    for name, document in files.items():
        (folder / name).write_text(json.dumps(document))


def test_the_table_says_which_sliders_live_and_what_a_low_rank_costs(tmp_path: Path) -> None:
    leave(tmp_path / "full", None, ["deblur"])
    leave(tmp_path / "low", 2, [])
    lines = tasks.report(tmp_path).splitlines()
    head, rule, *rows = [line for line in lines if line.startswith("|")]
    assert len({line.count("|") for line in (head, rule, *rows)}) == 1
    assert rows[0].endswith("| edsr, delta | 7, 5 s | denoise | 3.00 | alive | 1 of 20 |")
    assert rows[1].endswith("| deblur | 0.04 | dead | 1 of 20 |")
    plain = build("edsr", width=8, blocks=1)
    sizes = [sum(p.numel() for p in net.parameters()) for net in (make_tunable(plain, SPACE, rank=2), plain)]
    assert f"| edsr, delta, rank 2, {sizes[0] / sizes[1]:.2f}x |" in rows[2]
    assert 1 < sizes[0] / sizes[1] < 3
    assert rows[3].endswith("| deblur | 0.04 | alive | 1 of 20 |")


@pytest.mark.parametrize(
    ("names", "run"), [([], list(TASKS)), (["real-world", "noise-level"], ["real-world", "noise-level"])]
)
def test_it_runs_the_tasks_that_are_named_or_all(
    names: list[str], run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(tasks, "run", lambda params, folder: done.append(folder.name))
    monkeypatch.setattr(tasks, "keep", lambda folder, out: out.mkdir(parents=True))
    monkeypatch.setattr(tasks, "report", lambda out: "report")
    arguments = ["tasks", *names, "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", arguments)
    tasks.main()
    assert done == [f"{name}-minutes" for name in run]


def test_an_unknown_task_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*arguments: Any) -> None:
        raise AssertionError("nothing runs")

    monkeypatch.setattr(tasks, "run", never)
    monkeypatch.setattr(sys, "argv", ["tasks", "noise-level", "noise-levl"])
    with pytest.raises(SystemExit):
        tasks.main()
    assert "did you mean 'noise-level'" in capsys.readouterr().err
