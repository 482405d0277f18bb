"""The command: its rows, its page, its exit code, and what it says where a library is missing."""

import json
import sys
from pathlib import Path

import pytest
from torch import nn

from benchmarks.networks import __main__ as command
from benchmarks.networks.from_spandrel import find_subjects
from benchmarks.networks.plain import Plain
from benchmarks.networks.report import judge_network, write_page
from benchmarks.networks.subject import Subject

SHAPES = ((3, 5, 4),)


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> dict[str, Subject]:
    kinds = {
        "good": lambda: nn.Conv2d(3, 3, 1),
        "large": lambda: nn.Conv2d(3, 300, 1),
        "unfit": lambda: nn.Conv2d(4, 4, 1),
        "refused": lambda: nn.ReLU(),
    }
    subjects = {name: Subject("torchvision", name, make, SHAPES) for name, make in kinds.items()}
    monkeypatch.setattr(command, "version", lambda _: "1.0")
    monkeypatch.setitem(command.LIBRARIES, "torchvision", lambda: list(subjects.values()))
    return subjects


def _run(out: Path, *arguments: str) -> int:
    fixed = ["--libraries", "torchvision", "--out", str(out), "--max-millions", "0.001", "--threads", "1"]
    return command.main([*fixed, *arguments])


def test_every_network_has_a_row(
    libraries: dict[str, Subject], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path) == 0
    report = json.loads((tmp_path / "cpu.json").read_text())
    assert [row["network"] for row in report["rows"]] == list(libraries)
    assert [judge_network(row) for row in report["rows"]] == ["right", "not run", "not run", "refused"]
    page = (tmp_path / "cpu.md").read_text()
    assert "| together | 4 | 0 | 0 | 1 | 1 | 0 | 2 |" in page
    assert "- `large`, convert: not run: it has more than 0.001 M parameters" in page
    assert "torchvision good: right" in capsys.readouterr().out


def test_a_run_goes_on_where_it_stopped(
    libraries: dict[str, Subject], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(tmp_path, "--only", "good")
    capsys.readouterr()
    _run(tmp_path, "--resume", "--only", "good", "unfit")
    said = capsys.readouterr().out
    assert "torchvision unfit: convert not run" in said
    assert "torchvision good: right" not in said
    _run(tmp_path, "--resume", "--only", "good", "--norms")
    assert "torchvision good: right" in capsys.readouterr().out


def test_an_error_that_is_no_refusal_of_ours_fails(
    libraries: dict[str, Subject], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("weight")

    monkeypatch.setattr("benchmarks.networks.checks.make_tunable", fail)
    assert _run(tmp_path, "--only", "good") == 1
    page = (tmp_path / "cpu.md").read_text()
    assert page.index("## Wrong") < page.index("- `good`, convert: error: KeyError: 'weight'")


def test_what_there_is_not_is_told(
    libraries: dict[str, Subject], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(["--libraries", "torchvision", "--only", "better"])
    assert "there is no better in torchvision" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(SystemExit):
        command.main(["--libraries", "timm"])
    assert "timm is missing: pip install 'tunable-zoo[networks]'" in capsys.readouterr().err


def test_a_network_is_judged_by_its_worst_answer() -> None:
    def row(**outcomes: str) -> dict[str, object]:
        answers = {name: {"outcome": outcome, "detail": "why"} for name, outcome in outcomes.items()}
        return {"library": "own", "network": "n", "answers": answers}

    assert judge_network(row(convert="right", calls="right", fold="WRONG", view="refused")) == "WRONG"
    assert judge_network(row(convert="right", calls="right", samples="not run")) == "right in part"
    assert judge_network(row(convert="right", calls="not run", samples="right")) == "not run"
    assert judge_network(row(convert="refused")) == "refused"
    settings = {"settings": {"norms": True, "export": False}, "versions": {}}
    page = write_page({**settings, "rows": [row(convert="right", calls="right"), row(calls="WRONG")]})
    assert page.index("calls: WRONG: why") < page.index("| together | 2 | 1 | 0 | 0 | 1 | 0 | 0 |")
    assert "Norms are tunable too" in page


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
@pytest.mark.slow
def test_every_class_of_spandrel_is_found() -> None:
    subjects = {subject.name: subject for subject in find_subjects()}
    assert len(subjects) > 40
    assert {"SwinIR", "PLKSR", "PLKSR RealPLKSR"} <= subjects.keys()
    assert Plain(subjects["SwinIR"]).x[0].shape == (1, 3, 32, 32)
