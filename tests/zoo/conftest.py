"""A tiny published model, made from scratch for each test that changes it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tunable_models import Control, ControlSpace, TunableNetwork, build, make_tunable
from zoo.entry import Entry
from zoo.predictor import Predictor
from zoo.storage import Store

CONFIG = {"width": 8, "blocks": 1, "scale": 1}


SPACE = ControlSpace.box(
    Control(name="denoise", description="removes noise | grain", default=0.5),
    Control(name="sigma", low=0, high=50, default=25, unit="/255", kind="condition"),
)


def random_network(
    architecture: str = "edsr",
    space: ControlSpace = SPACE,
    selection: dict[str, Any] | None = None,
    **config: Any,
) -> TunableNetwork:
    """A network whose sliders do something: every tensor random."""
    options = {**CONFIG, **config} if architecture == "edsr" else config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = make_tunable(build(architecture, **options), space, **(selection or {}))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.normal_(0, 0.1)
    return network


@pytest.fixture
def make_network() -> Callable[..., TunableNetwork]:
    """Makes networks of any architecture, space and selection."""
    return random_network


@pytest.fixture
def network() -> TunableNetwork:
    return random_network()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def publish(store: Store) -> Callable[..., Entry]:
    """Publishes a tiny network; keywords replace the arguments of ``zoo.publish``."""

    def publish_(network: TunableNetwork | None = None, **changes: Any) -> Entry:
        arguments: dict[str, Any] = {
            "name": "tiny",
            "task": "denoise",
            "description": "A toy.",
            "metrics": {"summary": {"psnr": 31.5}, "grid": [{"denoise": 0.0, "psnr": 30}]},
            "license": {"weights": "CC0-1.0", "data": "CC0-1.0"},
            "provenance": {"commit": "abc"},
            "files": {"preview.png": b"not really a picture"},
            "store": store,
        }
        return zoo.publish(network or random_network(), **{**arguments, **changes})

    return publish_


@pytest.fixture
def entry(publish: Callable[..., Entry]) -> Entry:
    return publish()


@pytest.fixture
def predictor(entry: Entry) -> Predictor:
    return zoo.load(entry.folder)


@pytest.fixture
def enlarging(publish: Callable[..., Entry]) -> Predictor:
    """A predictor of scale 2."""
    return zoo.load(publish(random_network(scale=2), name="enlarging").folder)
