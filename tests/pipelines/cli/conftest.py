"""A published model in a store of its own, and the command line as a function."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

import zoo
from pipelines.cli import app
from tunable_models import Control, ControlSpace, build, make_tunable

EDSR = {"width": 4, "blocks": 1}
SPACE = ControlSpace.box(
    Control(name="denoise", description="Removes noise.", metric="psnr"),
    Control(name="level", high=50.0, default=25.0, unit="sigma/255"),
)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> zoo.Store:
    torch.manual_seed(0)
    network = make_tunable(build("edsr", **EDSR), SPACE)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    store = zoo.Store(tmp_path_factory.mktemp("store"))
    zoo.publish(
        network,
        name="tiny",
        task="denoise",
        architecture="edsr",
        config=EDSR,
        license={"weights": "Apache-2.0", "data": "CC0-1.0"},
        description="A network for tests.",
        metrics={"summary": {"psnr": 31.23456}, "rows": [1, 2]},
        store=store,
    )
    return store


@pytest.fixture
def enlarging(store: zoo.Store) -> zoo.Entry:
    """A model of another task beside ``tiny``: four times larger, three sliders that share a sum."""
    space = ControlSpace.simplex("accuracy", "detail", "calm")
    config = {**EDSR, "scale": 4}
    return zoo.publish(
        make_tunable(build("edsr", **config), space, rank=1),
        name="large",
        task="super-resolution",
        architecture="edsr",
        config=config,
        rank=1,
        license={"weights": "Apache-2.0", "data": "CC0-1.0"},
        store=zoo.Store(store.root.with_name("both")),
    )


@pytest.fixture
def tunable(store: zoo.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command in an empty folder, with the store as the user's."""
    monkeypatch.setenv("TUNABLE_ZOO_STORE", os.fspath(store.root))
    monkeypatch.delenv("TUNABLE_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(path)
    return path
