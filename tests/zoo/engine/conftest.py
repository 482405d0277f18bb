"""A published toy, and its graph: exported once, because that takes seconds."""

from collections.abc import Callable
from pathlib import Path

import pytest

import zoo
from published import publish_small
from tunable_models import Control, ControlSpace, TunableNetwork
from zoo.engine.graph import Graph, Weights, export_graph, fold_weights
from zoo.engine.graph_cache import KeptGraph
from zoo.manifest import WEIGHTS, Manifest
from zoo.weights import rebuild_network

SPACE = ControlSpace.box(
    Control(name="denoise", default=0.5), Control(name="sigma", low=0, high=50, default=25, kind="condition")
)


@pytest.fixture(scope="package")
def published(tmp_path_factory: pytest.TempPathFactory) -> zoo.Entry:
    return publish_small(tmp_path_factory.mktemp("store"), SPACE)


@pytest.fixture(scope="package")
def manifest(published: zoo.Entry) -> Manifest:
    return published.manifest


@pytest.fixture(scope="package")
def network(published: zoo.Entry) -> TunableNetwork:
    return rebuild_network(published.manifest, published.contents()[WEIGHTS])


@pytest.fixture(scope="package")
def weights(network: TunableNetwork) -> Weights:
    return fold_weights(network, network.space.omega())


@pytest.fixture(scope="package")
def graph(network: TunableNetwork, weights: Weights) -> Graph:
    return export_graph(network, weights, 3)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and ``auto`` as users have it."""
    monkeypatch.setenv("TUNABLE_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TUNABLE_ZOO_ENGINE")
    return tmp_path / "cache"


@pytest.fixture
def kept(cache: Path, manifest: Manifest) -> KeptGraph:
    """Where the toy's graph belongs."""
    return KeptGraph.of(manifest)


@pytest.fixture
def exports(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Exporting gives the toy's graph at once; the list tells how often it was asked for."""
    calls: list[str] = []

    def export(*_: object) -> Graph:
        calls.append("export")
        return graph

    monkeypatch.setattr("zoo.engine.on_onnx.export_graph", export)
    return calls


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a module look as if it were not installed."""

    def hide(hidden: str) -> None:
        monkeypatch.setattr("zoo.engine.choice.find_spec", lambda name: None if name == hidden else object())

    return hide
