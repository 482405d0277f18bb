"""Programs of a cluster that this machine does not have: they write down how they were called."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

Program = Callable[[str, str], None]


@pytest.fixture
def calls(tmp_path: Path) -> Callable[[], list[str]]:
    """What was called so far, a line each: the program and its arguments."""
    log = tmp_path / "calls"
    return lambda: log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Puts a program in front of PATH; it runs some bash after it has written its call down."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def put(name: str, body: str = "") -> None:
        path = folder / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >> "{tmp_path / "calls"}"\n{body}\n')
        path.chmod(0o755)

    return put
