from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.core.errors import ConfigError
from pipelines.core.layout import Layout
from pipelines.doctor.examine import STAGES, checks, findings
from pipelines.doctor.options import MODELS, Options, read_options

Levels = Callable[..., dict[str, str]]


@pytest.fixture
def levels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Levels:
    """The worst level of each check."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))

    def look(layout: Layout, stage: str | None = None) -> dict[str, str]:
        order = ("ok", "warning", "fault")
        worst: dict[str, str] = {}
        for finding in findings(layout, stage):
            worst[finding.check] = max(worst.get(finding.check, "ok"), finding.level, key=order.index)
        return worst

    return look


def test_a_whole_work_tree_is_looked_at(prepared_layout: Layout, levels: Levels) -> None:
    found = levels(prepared_layout)
    assert set(found) == {
        "params",
        "versions",
        "data",
        "disk",
        "threads",
        "gpus",
        "precision",
        "ports",
        "home",
        "scratch",
        "tracking",
    }
    assert "fault" not in found.values()


@pytest.mark.parametrize(
    ("stage", "names"),
    [
        ("prepare", {"params", "data", "disk"}),
        (
            "train",
            {
                "params",
                "versions",
                "data",
                "disk",
                "threads",
                "gpus",
                "precision",
                "home",
                "scratch",
                "tracking",
            },
        ),
        ("evaluate", {"params", "data", "disk", "threads", "gpus"}),
        ("publish", {"params", "data", "disk", "tracking"}),
        ("serve", {"params", "threads", "gpus", "ports", "home", "scratch"}),
    ],
)
def test_a_stage_is_asked_what_it_needs(
    prepared_layout: Layout, levels: Levels, stage: str, names: set[str]
) -> None:
    assert set(levels(prepared_layout, stage)) == names


def test_every_stage_with_options_is_known() -> None:
    assert set(STAGES) == set(MODELS)


def test_a_stage_without_its_inputs_is_a_fault(layout: Layout, levels: Levels) -> None:
    assert levels(layout)["data"] == "ok"
    assert levels(layout, "train")["data"] == "fault"


def test_an_unknown_stage_is_refused(layout: Layout) -> None:
    with pytest.raises(ConfigError, match="unknown stage 'tarin'"):
        list(findings(layout, "tarin"))


@pytest.mark.server
def test_options_that_do_not_parse_leave_the_other_checks(layout: Layout, levels: Levels) -> None:
    layout.params.write_text("train: {stesp: 1}\n")
    found = levels(layout)
    assert found["params"] == "fault"
    assert found["disk"] == "ok"


def test_processes_count_where_a_training_starts_them(prepared_layout: Layout) -> None:
    def level(stage: str, started: int) -> list[str]:
        return [
            found.level for found in findings(prepared_layout, stage, started) if found.check == "processes"
        ]

    assert [level("train", started) for started in (1, 2, 3)] == [[], ["ok"], ["fault"]]
    assert level("search", 3) == ["fault"]
    assert level("evaluate", 3) == []


@pytest.mark.server
def test_a_cluster_that_is_named_is_asked(
    prepared_layout: Layout, levels: Levels, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port}")
    assert levels(prepared_layout, "train").get("ports") is None  # the local runner joins none
    prepared_layout.params.write_text("train: {compute: {runner: ray}}\n")
    assert levels(prepared_layout, "train")["ports"] == "fault"


@pytest.mark.server
def test_more_gpus_than_there_are_is_a_fault(
    prepared_layout: Layout, levels: Levels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for section in (
        "train: {compute: {use_gpu: true}}",
        "evaluate: {device: cuda}",
        "serve: {num_gpus: 0.5}",
    ):
        prepared_layout.params.write_text(section)
        assert levels(prepared_layout)["gpus"] == "fault"


def test_no_check_needs_another(layout: Layout) -> None:
    for check in checks(Options(), layout, None):
        assert all(finding.level != "fault" for finding in check.run()), check.name


def test_reading_options_changes_nothing(layout: Layout) -> None:
    read_options(layout)
    assert [path.name for path in layout.root.iterdir()] == ["params.yaml"]
