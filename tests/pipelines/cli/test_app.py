"""The shell: what loads, and what an error looks like."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import pipelines
from pipelines.cli import app

ROOT = Path(pipelines.__file__).parents[1]
HEAVY = ("torch", "ray", "mlflow", "dvc", "fastapi", "albumentations")


def modules_after(code: str, cwd: Path) -> set[str]:
    """The top-level modules that a fresh interpreter holds after ``code``."""
    code += "\nimport sys; print('LOADED', *{name.partition('.')[0] for name in sys.modules})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TUNABLE_ZOO_STORE": str(cwd / "none")}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, check=True
    )
    return set(result.stdout.rpartition("LOADED ")[2].split())


def call(*args: str) -> str:
    run = f"app({list(args)!r})"
    return f"from pipelines.cli import app\ntry: {run}\nexcept SystemExit as e: assert not e.code"


@pytest.mark.parametrize(
    "command", [[], ["run"], ["search"], ["recipe"], ["track"], ["zoo"], ["apply"], ["serve"], ["doctor"]]
)
@pytest.mark.server
def test_help_loads_nothing_heavy(command: list[str], tmp_path: Path) -> None:
    assert modules_after(call(*command, "--help"), tmp_path).isdisjoint((*HEAVY, "numpy", "yaml"))


@pytest.mark.server
def test_list_starts_on_the_base_install(tmp_path: Path) -> None:
    absent = ("ray", "mlflow", "dvc", "fastapi", "yaml", "albumentations")
    blocked = f"import sys\nfor name in {absent}: sys.modules[name] = None\n"
    modules_after(blocked + call("zoo", "list"), tmp_path)


def test_known_errors_are_one_line(tunable: Callable[..., Result]) -> None:
    result = tunable("zoo", "show", "tinny")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("tunable: ")
    assert result.stderr.count("\n") == 1
    assert "did you mean 'tiny'" in result.stderr


def test_debug_shows_the_traceback(tunable: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNABLE_DEBUG", "1")
    result = tunable("zoo", "show", "tinny")
    assert isinstance(result.exception, LookupError)


def test_unknown_errors_keep_their_traceback(
    tunable: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("zoo.resolve", broken)
    assert isinstance(tunable("zoo", "show", "tiny").exception, RuntimeError)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EROFS, "Read-only file system"),
        (errno.ENOSPC, "expected room to write, got: No space left on device; free some and run again"),
    ],
)
def test_errors_of_the_file_system_name_the_file(
    tunable: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "out.png")

    monkeypatch.setattr("zoo.resolve", fail)
    result = tunable("zoo", "show", "tiny")
    assert (result.exit_code, result.stderr) == (1, f"tunable: out.png: {said}\n")


def test_a_wrong_option_is_a_usage_error(tunable: Callable[..., Result]) -> None:
    assert tunable("zoo", "list", "--colour").exit_code == 2


def test_version(tunable: Callable[..., Result]) -> None:
    assert tunable("--version").stdout == f"tunable {version('tunable-zoo')}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(tunable: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    monkeypatch.setenv("_TUNABLE_COMPLETE", f"source_{shell}")
    result = CliRunner().invoke(app, [], prog_name="tunable")
    assert "_TUNABLE_COMPLETE" in result.stdout
