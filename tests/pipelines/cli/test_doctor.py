import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import Result

import command_line
from pipelines.cli import common
from pipelines.doctor import run
from pipelines.doctor.report import Finding
from waiting import UNREACHED_S


@pytest.fixture(autouse=True)
def _no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for every check however busy the machine is."""

    run_checks = run.run_checks

    def run_without_limits(checks: Iterable[run.Check]) -> Iterator[Finding]:
        return run_checks(replace(check, limit_s=UNREACHED_S) for check in checks)

    monkeypatch.setattr(run, "run_checks", run_without_limits)
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def work_tree(tmp_path: Path) -> Path:
    assert command_line.tunable("recipe", "noise-level", "--out", tmp_path / "params.yaml").exit_code == 0
    return tmp_path


@pytest.mark.server
def test_a_sound_work_tree(tunable: Callable[..., Result], work_tree: Path) -> None:
    result = tunable("doctor")
    assert result.exit_code == 0, result.stdout
    assert "ok       params" in result.stdout
    assert result.stdout.splitlines()[-1].endswith(" 0 fault")
    assert [path.name for path in work_tree.iterdir()] == ["params.yaml"]


def test_a_stage_that_cannot_run_yet(tunable: Callable[..., Result], work_tree: Path, tmp_path: Path) -> None:
    result = tunable("doctor", "--root", work_tree, "--stage", "train", "--json")
    assert result.exit_code == 1
    levels = {finding["level"] for finding in json.loads(result.stdout)}
    assert "fault" in levels


@pytest.mark.server
def test_more_processes_than_a_batch_has_groups(tunable: Callable[..., Result], work_tree: Path) -> None:
    result = tunable("doctor", "--processes", "1000", "--json")
    assert result.exit_code == 1
    [fault] = [found for found in json.loads(result.stdout) if found["level"] == "fault"]
    assert fault["check"] == "processes"


def test_an_unknown_stage(tunable: Callable[..., Result], work_tree: Path) -> None:
    result = tunable("doctor", "--stage", "tarin")
    assert result.exit_code == 1
    assert result.stderr.startswith("tunable: unknown stage 'tarin'")


def test_outside_a_work_tree(tunable: Callable[..., Result]) -> None:
    result = tunable("doctor")
    assert result.exit_code == 1
    assert "params.yaml" in result.stderr


def test_what_to_install_is_told(
    tunable: Callable[..., Result], work_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common, "find_spec", lambda module: None if module == "mlflow" else module)
    result = tunable("doctor")
    assert result.exit_code == 1
    assert result.stderr == "tunable: this needs mlflow: pip install 'tunable-zoo[pipelines]'\n"
