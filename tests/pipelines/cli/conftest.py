"""A published model in a store of its own, and the command line as a function."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

import command_line
import zoo
from published import EDSR, publish_small
from tunable_models import Control, ControlSpace

SPACE = ControlSpace.box(
    Control(name="denoise", description="Removes noise.", metric="psnr"),
    Control(name="level", high=50.0, default=25.0, unit="sigma/255"),
)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> zoo.Store:
    folder = tmp_path_factory.mktemp("store")
    metrics = {"summary": {"psnr": 31.23456}, "rows": [1, 2]}
    publish_small(folder, SPACE, description="A network for tests.", metrics=metrics)
    return zoo.Store(folder)


@pytest.fixture
def enlarging(store: zoo.Store) -> zoo.Entry:
    """A model of another task beside ``tiny``: four times larger, three sliders that share a sum."""
    space = ControlSpace.simplex("accuracy", "detail", "calm")
    folder = store.root.with_name("both")
    return publish_small(folder, space, {**EDSR, "scale": 4}, rank=1, name="large", task="super-resolution")


@pytest.fixture
def tunable(store: zoo.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command in an empty folder, with the store as the user's."""
    monkeypatch.setenv("TUNABLE_ZOO_STORE", os.fspath(store.root))
    monkeypatch.delenv("TUNABLE_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
    return command_line.tunable


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(path)
    return path
