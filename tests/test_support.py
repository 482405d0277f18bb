"""The suite's own plugins: a second try for what did not pass, and what unmarked tests may not start."""

import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SUPPORT = Path(__file__).parent / "support"
OPTIONS = ("-p", "rerun", "-p", "tiers")

pytestmark = pytest.mark.slow


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A suite with the same plugins and an empty list of flaky tests."""
    # Those of installed packages are most of what a process takes to start.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT))
    pytester.mkdir("tests").joinpath("flaky.txt").touch()
    pytester.makeini("[pytest]\nmarkers =\n    cluster\n    server\n")
    return pytester


def flaky(suite: pytest.Pytester) -> list[str]:
    lines = (suite.path / "tests" / "flaky.txt").read_text().splitlines()
    return [line.split()[1] for line in lines]


UNSTEADY = """
import os

def test_steady():
    assert not os.environ.get("SECOND")

def test_unsteady():
    assert os.environ.get("SECOND")
"""


def test_what_passes_the_second_time_is_listed_and_gets_no_third_chance(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.makepyfile(UNSTEADY)
    for code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        monkeypatch.delenv("SECOND", raising=False)
        suite.runpytest_subprocess(*OPTIONS).assert_outcomes(passed=1, failed=1)
        monkeypatch.setenv("SECOND", "1")
        again = suite.runpytest_subprocess(*OPTIONS, "--unpassed")
        again.assert_outcomes(passed=1, deselected=1)  # the steady one would fail
        assert again.ret == code
        again.stdout.fnmatch_lines(["*= flaky =*", "*::test_unsteady*"])
        assert [name.partition("::")[2] for name in flaky(suite)] == ["test_unsteady"]


def test_what_fails_again_fails_the_run(suite: pytest.Pytester) -> None:
    suite.makepyfile(UNSTEADY)
    for options in (OPTIONS, (*OPTIONS, "--unpassed")):
        assert suite.runpytest_subprocess(*options).ret == pytest.ExitCode.TESTS_FAILED
    assert flaky(suite) == []


def test_what_a_dead_process_never_came_to_is_run(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.makepyfile(
        """
        import os

        def test_before():
            pass

        def test_dying():
            if not os.environ.get("SECOND"):
                os._exit(3)

        def test_behind():
            pass
        """
    )
    first = suite.runpytest_subprocess("-p", "rerun", "-p", "xdist", "-n", "1", "--max-worker-restart", "0")
    assert first.ret != pytest.ExitCode.OK
    monkeypatch.setenv("SECOND", "1")
    again = suite.runpytest_subprocess(*OPTIONS, "--unpassed")
    again.assert_outcomes(passed=2, deselected=1)
    assert again.ret == pytest.ExitCode.OK


def test_without_a_first_run_there_is_no_second(suite: pytest.Pytester) -> None:
    suite.makepyfile(UNSTEADY)
    assert suite.runpytest_subprocess(*OPTIONS, "--unpassed").ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    ("marker", "statement"),
    [
        ("server", "socket.create_server(('127.0.0.1', 0)).close()"),
        ("server", f"subprocess.run([{sys.executable!r}, '-c', ''])"),
        ("cluster", "subprocess.run(['/bin/sh/raylet'])"),
    ],
)
def test_unmarked_tests_are_refused_what_is_not_theirs(
    suite: pytest.Pytester, marker: str, statement: str
) -> None:
    suite.makepyfile(
        f"""
        import socket, subprocess
        import pytest

        def test_unmarked():
            {statement}

        @pytest.mark.{marker}
        def test_marked():
            try:
                {statement}
            except OSError:
                pass  # there is no such program
        """
    )
    ran = suite.runpytest_subprocess(*OPTIONS)
    ran.assert_outcomes(passed=1, failed=1)
    ran.stdout.fnmatch_lines([f"*mark it with pytest.mark.{marker}*"])
