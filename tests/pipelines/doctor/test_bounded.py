import time

import pytest

from pipelines.doctor.bounded import Check, examine
from pipelines.doctor.finding import About, Finding
from pipelines.errors import DataError


def say(name: str, after_s: float = 0.0) -> Check:
    def run() -> list[Finding]:
        time.sleep(after_s)
        return [About(name).ok("fine")]

    return Check(name, run)


def fail(error: Exception) -> Check:
    def run() -> list[Finding]:
        raise error

    return Check("broken", run)


def test_findings_come_in_the_order_of_the_checks() -> None:
    found = examine([say("slow", after_s=0.2), say("quick")])
    assert [finding.check for finding in found] == ["slow", "quick"]


def test_checks_run_side_by_side() -> None:
    begun = time.monotonic()
    assert len(list(examine([say(f"{i}", after_s=0.3) for i in range(10)]))) == 10
    assert time.monotonic() - begun < 2.0


def test_a_check_that_crashes_is_a_fault_that_names_the_exception() -> None:
    found = list(examine([fail(ZeroDivisionError("by\nzero")), say("other")]))
    assert [finding.level for finding in found] == ["fault", "ok"]
    assert found[0].message == "the check failed: ZeroDivisionError: by zero"


def test_an_expected_error_speaks_for_itself() -> None:
    [found] = examine([fail(DataError("expected photographs, got none"))])
    assert found == Finding("broken", "fault", "expected photographs, got none")


@pytest.mark.parametrize("late", ["fault", "warning"])
def test_a_check_that_hangs_is_given_up(late: str) -> None:
    hanging = Check("hanging", lambda: time.sleep(30) or [], limit_s=0.2, late=late)  # type: ignore[func-returns-value,arg-type]
    begun = time.monotonic()
    found = list(examine([hanging, say("other")]))
    assert time.monotonic() - begun < 5.0
    assert [(finding.check, finding.level) for finding in found] == [("hanging", late), ("other", "ok")]
    assert "no answer within 0.2 s" in found[0].message
