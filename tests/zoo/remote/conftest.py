"""Faults are told at once, and every test has a cache and sources of its own."""

from pathlib import Path

import pytest

from zoo.remote import files as remote_files
from zoo.remote.download import RETRY, download

QUICK = RETRY.new(total=2, backoff_factor=0.01)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        "zoo.remote.download.download.__kwdefaults__",
        {**(download.__kwdefaults__ or {}), "retry": QUICK},
    )
    monkeypatch.setattr(remote_files, "INDEX_RETRY", QUICK)
    monkeypatch.setattr("zoo.remote.fsspec_calls.PAUSES_S", (0.0,))
    monkeypatch.setenv("TUNABLE_ZOO_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("TUNABLE_ZOO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shared"
