from pathlib import Path

import numpy as np
import pytest

from command_line import tunable
from pipelines.core.layout import Layout
from pipelines.data.photos import PhotoSet, write_photos
from pipelines.running.run import Run
from pipelines.training.config import TrainConfig


def files(root: Path) -> dict[str, bytes]:
    return {path.as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def hold_out(layout: Layout) -> None:
    """A photograph for a search to score on."""
    photo = np.random.default_rng(1).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    write_photos(layout.prepare / "validation", [("held-out.png", photo)])


@pytest.mark.parametrize("stage", ["prepare", "train", "search", "evaluate", "publish", "all"])
def test_nothing_is_done(prepared_layout: Layout, stage: str) -> None:
    hold_out(prepared_layout)
    before = files(prepared_layout.root)
    command = ["search"] if stage == "search" else ["run", stage]
    result = tunable(*command, "--dry-run", "--root", prepared_layout.root)
    out = result.stdout
    assert result.exit_code == (1 if stage in ("evaluate", "publish") else 0)  # nothing is trained yet
    assert ("begins      at the start" in out) == (stage in ("train", "all"))
    assert ("at a time " in out) == (stage == "search")
    assert "params" in out
    assert files(prepared_layout.root) == before


def test_a_search_joins_the_cluster_of_the_environment(
    prepared_layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_out(prepared_layout)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    result = tunable("search", "--dry-run", "--root", prepared_layout.root)
    assert result.exit_code == 0
    assert "in 10.0.0.1:6379, whose room is checked when the search starts" in result.stdout


def test_damaged_checkpoints_are_a_fault_among_the_findings(
    prepared_layout: Layout, config: TrainConfig
) -> None:
    run = Run.of(config, PhotoSet.open(prepared_layout.prepare / "train"), prepared_layout)
    (run.folder / "checkpoints" / "step-00000002").mkdir(parents=True)
    result = tunable("run", "train", "--dry-run", "--root", prepared_layout.root)
    assert result.exit_code == 1
    assert "fault    plan        expected a whole checkpoint" in result.stdout
    assert "ok       disk" in result.stdout


def test_options_that_do_not_parse_are_told(layout: Layout) -> None:
    layout.params.write_text("train: {stesp: 3}\n")
    result = tunable("run", "train", "--dry-run", "--root", layout.root)
    assert result.exit_code == 1
    assert "did you mean 'steps'" in result.stdout


def test_an_unknown_stage_is_one_line(layout: Layout) -> None:
    result = tunable("run", "tarin", "--dry-run", "--root", layout.root)
    assert result.exit_code == 1
    assert "unknown stage 'tarin'" in result.stderr
