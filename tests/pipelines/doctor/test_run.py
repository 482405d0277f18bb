from collections.abc import Callable
from dataclasses import replace
from threading import Barrier, Event

import pytest

from pipelines.core.errors import ConfigError, DataError
from pipelines.core.layout import Layout
from pipelines.doctor.options import Options, read_options
from pipelines.doctor.report import Finding, Level
from pipelines.doctor.run import Check, examine_work_tree, list_checks, run_checks
from waiting import UNREACHED_S


def levels(layout: Layout, stage: str | None = None) -> dict[str, str]:
    """The worst level of each check."""
    order = ("ok", "warning", "fault")
    worst: dict[str, str] = {}
    for finding in examine_work_tree(layout, stage):
        worst[finding.check] = max(worst.get(finding.check, "ok"), finding.level, key=order.index)
    return worst


def test_the_checks_of_a_whole_work_tree(prepared_layout: Layout) -> None:
    found = levels(prepared_layout)
    assert set(found) == {
        "params",
        "versions",
        "dvc",
        "data",
        "disk",
        "threads",
        "gpus",
        "precision",
        "memory",
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
                "memory",
                "tracking",
            },
        ),
        ("evaluate", {"params", "data", "disk", "threads", "gpus"}),
        ("publish", {"params", "data", "disk", "tracking"}),
        ("serve", {"params", "threads", "gpus", "memory"}),
    ],
)
def test_a_stage_has_the_checks_it_needs(prepared_layout: Layout, stage: str, names: set[str]) -> None:
    assert set(levels(prepared_layout, stage)) == names


def test_a_stage_without_its_inputs_is_a_fault(layout: Layout) -> None:
    assert levels(layout)["data"] == "ok"
    assert levels(layout, "train")["data"] == "fault"


def test_an_unknown_stage_is_refused(layout: Layout) -> None:
    with pytest.raises(ConfigError, match="tarin"):
        list(examine_work_tree(layout, "tarin"))


@pytest.mark.server
def test_options_that_do_not_parse_leave_the_other_checks(layout: Layout) -> None:
    layout.params.write_text("train: {stesp: 1}\n")
    found = levels(layout)
    assert found["params"] == "fault"
    assert found["disk"] == "ok"


def test_processes_are_checked_for_a_training(prepared_layout: Layout) -> None:
    def level(stage: str, processes: int) -> list[str]:
        found = examine_work_tree(prepared_layout, stage, processes)
        return [finding.level for finding in found if finding.check == "processes"]

    assert [level("train", processes) for processes in (1, 2, 3)] == [[], ["ok"], ["fault"]]
    assert level("search", 3) == ["fault"]
    assert level("evaluate", 3) == []


@pytest.mark.server
def test_a_named_cluster_is_checked(
    prepared_layout: Layout, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port}")
    assert levels(prepared_layout, "train").get("cluster") is None  # the local runner joins none
    prepared_layout.params.write_text("train: {compute: {runner: ray}}\n")
    assert levels(prepared_layout, "train")["cluster"] == "fault"


@pytest.mark.server
def test_more_gpus_than_there_are_is_a_fault(
    prepared_layout: Layout, monkeypatch: pytest.MonkeyPatch
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
    for check in list_checks(Options(), layout, None):
        assert all(finding.level != "fault" for finding in check.run()), check.name


def test_reading_options_changes_nothing(layout: Layout) -> None:
    read_options(layout)
    assert [path.name for path in layout.root.iterdir()] == ["params.yaml"]


def make_check(name: str, first: Callable[[], object] = lambda: None) -> Check:
    """A check that finds nothing wrong, after it has done something else."""

    def run() -> list[Finding]:
        first()
        return [Finding.ok(name, "fine")]

    return Check(name, run, limit_s=UNREACHED_S)


def make_broken_check(error: Exception) -> Check:
    def run() -> list[Finding]:
        raise error

    return Check("broken", run, limit_s=UNREACHED_S)


def test_findings_come_in_the_order_of_the_checks() -> None:
    second_runs = Event()
    found = run_checks([make_check("ends last", second_runs.wait), make_check("ends first", second_runs.set)])
    assert [finding.check for finding in found] == ["ends last", "ends first"]


def test_checks_run_side_by_side() -> None:
    all_run = Barrier(10)
    assert len(list(run_checks([make_check(f"{i}", all_run.wait) for i in range(10)]))) == 10


def test_a_check_that_crashes_is_a_fault_that_names_the_exception() -> None:
    found = list(run_checks([make_broken_check(ZeroDivisionError("by\nzero")), make_check("other")]))
    assert [finding.level for finding in found] == ["fault", "ok"]
    assert found[0].message == "the check failed: ZeroDivisionError: by zero"


def test_an_expected_error_speaks_for_itself() -> None:
    [found] = run_checks([make_broken_check(DataError("expected photographs, got none"))])
    assert found == Finding("broken", "fault", "expected photographs, got none")


@pytest.mark.parametrize("late", ["fault", "warning"])
def test_a_check_that_hangs_is_abandoned(late: Level) -> None:
    over = Event()
    hanging = replace(make_check("hanging", over.wait), limit_s=0.1, late=late)
    try:
        found = list(
            run_checks([hanging, make_check("other")])
        )  # would not return if it waited for the check
    finally:
        over.set()
    assert [(finding.check, finding.level) for finding in found] == [("hanging", late), ("other", "ok")]
    assert "no answer within 0.1 s" in found[0].message
