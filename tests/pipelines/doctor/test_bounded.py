from collections.abc import Callable
from dataclasses import replace
from threading import Barrier, Event

import pytest

from pipelines.core.errors import DataError
from pipelines.doctor.bounded import Check, examine
from pipelines.doctor.finding import About, Finding, Level
from waiting import UNREACHED_S

"""The limit of a check that is to be waited for, however busy the machine is."""


def say(name: str, first: Callable[[], object] = lambda: None) -> Check:
    """A check that finds nothing wrong, after it has done something else."""

    def run() -> list[Finding]:
        first()
        return [About(name).ok("fine")]

    return Check(name, run, limit_s=UNREACHED_S)


def fail(error: Exception) -> Check:
    def run() -> list[Finding]:
        raise error

    return Check("broken", run, limit_s=UNREACHED_S)


def test_findings_come_in_the_order_of_the_checks() -> None:
    second_runs = Event()
    found = examine([say("ends last", second_runs.wait), say("ends first", second_runs.set)])
    assert [finding.check for finding in found] == ["ends last", "ends first"]


def test_checks_run_side_by_side() -> None:
    all_run = Barrier(10)
    assert len(list(examine([say(f"{i}", all_run.wait) for i in range(10)]))) == 10


def test_a_check_that_crashes_is_a_fault_that_names_the_exception() -> None:
    found = list(examine([fail(ZeroDivisionError("by\nzero")), say("other")]))
    assert [finding.level for finding in found] == ["fault", "ok"]
    assert found[0].message == "the check failed: ZeroDivisionError: by zero"


def test_an_expected_error_speaks_for_itself() -> None:
    [found] = examine([fail(DataError("expected photographs, got none"))])
    assert found == Finding("broken", "fault", "expected photographs, got none")


@pytest.mark.parametrize("late", ["fault", "warning"])
def test_a_check_that_hangs_is_given_up(late: Level) -> None:
    over = Event()
    hanging = replace(say("hanging", over.wait), limit_s=0.1, late=late)
    try:
        found = list(examine([hanging, say("other")]))  # would not return if it waited for the check
    finally:
        over.set()
    assert [(finding.check, finding.level) for finding in found] == [("hanging", late), ("other", "ok")]
    assert "no answer within 0.1 s" in found[0].message
