"""Tests that did not pass are run once more, alone and in order; those that pass then are flaky.

A run keeps which tests passed. ``--unpassed`` runs the others: those that failed, and those that a run
which ended early never came to. What passes now is printed and added to ``tests/flaky.txt``; a test that
is listed there already has had its chance, and fails.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

PASSED = "rerun/passed"
FLAKY = Path("tests", "flaky.txt")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption(
        "--unpassed", action="store_true", help="run the tests that did not pass in the last run, once more"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Keep outcomes in the process that sees all of them, which is not one of xdist's workers."""
    cache = getattr(config, "cache", None)  # nobody's with -p no:cacheprovider
    if cache is not None and not hasattr(config, "workerinput") and not config.option.collectonly:
        config.pluginmanager.register(
            Outcomes(cache, config.rootpath / FLAKY, again=config.option.unpassed), "outcomes"
        )


class Outcomes:
    """Which tests passed in this run, and, with ``--unpassed``, in the one before."""

    def __init__(self, cache: pytest.Cache, flaky: Path, *, again: bool) -> None:
        self._cache, self._file, self._again = cache, flaky, again
        self._passed: set[str] = set()
        self._failed: set[str] = set()
        self._relapsed: list[str] = []

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what has passed already."""
        if not self._again:
            return
        names = self._cache.get(PASSED, None)
        if names is None:
            raise pytest.UsageError("--unpassed: no run before this one; run the tests without it first")
        passed = set(names)
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in passed])
        items[:] = [item for item in items if item.nodeid not in passed]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note one phase of one test."""
        if report.failed:
            self._failed.add(report.nodeid)
        elif report.when == "teardown":
            self._passed.add(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Keep what passed; a test that is flaky a second time fails the run."""
        if not self._again:
            self._cache.set(PASSED, sorted(self._passed - self._failed))
            return
        known = set(_read_names(self._file))
        self._relapsed = sorted(self._flaky() & known)
        with self._file.open("a", encoding="utf-8") as file:
            file.writelines(f"{date.today()} {name}\n" for name in sorted(self._flaky() - known))
        if self._relapsed:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _flaky(self) -> set[str]:
        return self._passed - self._failed

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print them under a heading of their own."""
        if not self._again or not self._flaky():
            return
        terminalreporter.section("flaky")
        terminalreporter.line(f"failed first and passed alone; mend them and shorten {FLAKY}:")
        for name in sorted(self._flaky()):
            again = ": listed already, so the run fails" if name in self._relapsed else ""
            terminalreporter.line(f"  {name}{again}")


def _read_names(file: Path) -> Iterator[str]:
    """Names of the tests in a list whose lines are a date and a name."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line.split(maxsplit=1)[1]
