"""The onnx engine: torch's pictures from the entry's weights, whatever lies in the cache."""

import copy
import itertools
import logging
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch

import zoo
from plain_networks import SMALL
from published import publish_small
from tunable_models import ControlSpace, TunableNetwork
from zoo.catalog import bundled_store
from zoo.engine import on_onnx
from zoo.engine.graph import Graph
from zoo.engine.graph_cache import KeptGraph
from zoo.engine.on_onnx import OnnxEngine, Recent, Session
from zoo.errors import EngineError
from zoo.manifest import Manifest

SETTINGS = 20
BUNDLED = bundled_store().names()


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], zoo.Entry]:
    """Every bundled entry by its name, and a small one of each architecture by that."""

    def entry(name: str) -> zoo.Entry:
        if name in BUNDLED:
            return bundled_store().open(name)
        space = ControlSpace.simplex("a", "b", "c") if name == "drunet" else ControlSpace.box("a", "b")
        return publish_small(tmp_path_factory.mktemp("store"), space, SMALL[name][-1], architecture=name)

    return entry


@pytest.mark.slow
@pytest.mark.parametrize("name", [*BUNDLED, *SMALL])
def test_pictures_are_torchs_whole_and_tiled(entries: Callable[[str], zoo.Entry], name: str) -> None:
    folder = entries(name).folder
    fast, slow = (zoo.load(folder, engine=engine) for engine in ("onnx", "torch"))
    assert (fast.engine, slow.engine) == ("onnx", "torch")
    generator = torch.Generator().manual_seed(0)
    image, outputs = torch.rand(1, 3, 75, 62, generator=generator), []
    for draw in torch.rand(SETTINGS, len(fast.space), generator=generator):
        omega = draw / draw.sum() if fast.space.kind == "simplex" else draw
        values = fast.space.values(omega)
        for whole_px in (10**6, 0):
            fast.whole_px = slow.whole_px = whole_px
            fast.tile_px = slow.tile_px = 16
            wanted = slow(image, values)
            # A tenth of what is allowed: it is float32 on both sides.
            assert (fast(image, values) - wanted).abs().max() <= 0.1 / 255
        outputs.append(wanted)
    assert (outputs[0] - outputs[1]).abs().max() > 1e-3  # the sliders do something


@pytest.mark.slow
def test_batches_and_sizes(network: TunableNetwork, manifest: Manifest, exports: list[str]) -> None:
    run = OnnxEngine(network, manifest).at((0.25, 0.75))
    for shape in [(1, 3, 1, 1), (3, 3, 5, 40), (2, 3, 33, 17)]:
        image = torch.rand(shape)
        with torch.no_grad():
            wanted = network.at(torch.tensor([0.25, 0.75]))(image)
        torch.testing.assert_close(run(image), wanted, rtol=0, atol=1e-5)
    crossed = torch.rand(1, 8, 9, 3).permute(0, 3, 1, 2)
    assert torch.equal(run(crossed), run(crossed.contiguous()))


@pytest.mark.slow
def test_a_graph_is_made_once(
    published: zoo.Entry, exports: list[str], kept: KeptGraph, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "zoo.engine"):
        first = zoo.load(published.folder)
    assert (first.engine, exports) == ("onnx", ["export"])
    assert "writing the graph of tiny for onnxruntime, once" in caplog.text
    second = zoo.load(published.folder)
    assert exports == ["export"]
    image = torch.rand(3, 9, 7)
    assert torch.equal(first(image, denoise=0.1), second(image, denoise=0.1))
    assert kept.read() is not None


@pytest.mark.slow
@pytest.mark.parametrize("data", [b"", b"rubbish"])
def test_a_kept_graph_that_does_not_fit_is_made_again(
    published: zoo.Entry, exports: list[str], kept: KeptGraph, graph: Graph, data: bytes
) -> None:
    kept.write(data)
    assert zoo.load(published.folder, engine="onnx").engine == "onnx"
    assert exports == ["export"]
    assert kept.read() == graph.model


@pytest.mark.slow
def test_a_graph_that_onnxruntime_refuses_is_made_again(
    published: zoo.Entry, exports: list[str], kept: KeptGraph, graph: Graph
) -> None:
    import onnx

    model = onnx.load_model_from_string(graph.model)
    model.graph.node[0].op_type = "NoSuchOperator"
    kept.write(model.SerializeToString())
    assert zoo.load(published.folder, engine="onnx").engine == "onnx"
    assert exports == ["export"]
    assert kept.read() == graph.model


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_said(
    published: zoo.Entry,
    exports: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(KeptGraph, "write", full)
    assert zoo.load(published.folder).engine == "onnx"
    assert "could not be kept for the next time: [Errno 28]" in caplog.text


@pytest.mark.slow
def test_a_graph_with_other_pictures_is_not_used(
    published: zoo.Entry, exports: list[str], kept: KeptGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Session.run
    monkeypatch.setattr(Session, "run", lambda session, batch: run(session, batch) + 0.01)
    with pytest.raises(EngineError, match=r"differ from torch's by 2\.\d* of 255"):
        zoo.load(published.folder, engine="onnx")
    assert zoo.load(published.folder).engine == "torch"
    assert not kept.path.exists()


@pytest.mark.slow
def test_threads_share_an_engine(network: TunableNetwork, manifest: Manifest, exports: list[str]) -> None:
    engine, image = OnnxEngine(network, manifest), torch.rand(1, 3, 12, 12)
    omegas = [(a / 4, b / 3) for a, b in itertools.product(range(5), range(4))]
    with torch.no_grad():
        wanted = [network.at(torch.tensor(omega))(image) for omega in omegas]
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda omega: engine.at(omega)(image), omegas * 5))
    for index, output in enumerate(outputs):
        torch.testing.assert_close(output, wanted[index % len(wanted)], rtol=0, atol=1e-5)
    assert len(engine._sessions) == on_onnx.CACHED_SESSIONS


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_compute_with_their_own_network(
    published: zoo.Entry, exports: list[str], copied: Callable[[zoo.Predictor], zoo.Predictor]
) -> None:
    model = zoo.load(published.folder, engine="onnx")
    x = torch.rand(3, 9, 12)
    wanted = model(x, denoise=0.25)
    other = copied(model)
    assert other.engine == "onnx"
    assert torch.equal(other(x, denoise=0.25), wanted)
    again = copied(model)
    for parameter in again.network.parameters():
        parameter.data.zero_()
    assert not torch.equal(again(x, denoise=0.25), wanted)
    assert torch.equal(model(x, denoise=0.25), wanted)
    assert exports == ["export"]


@pytest.mark.slow
def test_sessions_have_torchs_threads(
    network: TunableNetwork, manifest: Manifest, exports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    class Watched(Session):
        def __init__(self, graph: Graph, weights: Any, threads: int) -> None:
            seen.append(threads)
            super().__init__(graph, weights, threads)

    monkeypatch.setattr(on_onnx, "Session", Watched)
    engine = OnnxEngine(network, manifest)
    for threads in (1, 3, 1):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        engine.at((0.0, 0.0))
    assert seen[-2:] == [1, 3]


@pytest.mark.slow
def test_large_weights_are_kept_for_fewer_settings(
    network: TunableNetwork, manifest: Manifest, exports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_onnx, "CACHED_BYTES", 1)
    engine = OnnxEngine(network, manifest)
    for value in (0.1, 0.2, 0.3):
        engine.at((value, value))
    assert len(engine._sessions) == 1


@pytest.mark.slow
def test_sessions_share_their_memory(network: TunableNetwork, manifest: Manifest, exports: list[str]) -> None:
    engine, image = OnnxEngine(network, manifest), torch.rand(1, 3, 700, 700)
    before = resident_bytes()
    engine.at((0.0, 0.0))(image)
    first = resident_bytes() - before
    for value in range(1, 8):
        engine.at((value / 8, 0.0))(image)
    # With an arena each they would take eight times as much.
    assert resident_bytes() - before < 3 * first


def resident_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


@pytest.mark.slow
def test_a_failure_of_the_runtime_is_told(
    network: TunableNetwork, manifest: Manifest, exports: list[str]
) -> None:
    run = OnnxEngine(network, manifest).at((0.5, 0.5))
    with pytest.raises(EngineError, match=r"onnxruntime failed on a picture of 9x8: .*try engine='torch'"):
        run(torch.rand(1, 5, 8, 9))


@pytest.mark.slow
@pytest.mark.server
def test_loading_a_cached_entry_imports_no_compiler(published: zoo.Entry, exports: list[str]) -> None:
    assert zoo.load(published.folder, engine="onnx").engine == "onnx"
    code = f"""
import sys, torch, zoo
model = zoo.load({str(published.folder)!r}, engine="onnx")
model(torch.rand(3, 9, 7))
print(model.engine, *sorted({{name.split(".")[0] for name in sys.modules}} | set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    engine, *modules = done.stdout.split()
    slow = {"torch._dynamo", "torch._inductor", "torch.onnx", "torchvision", "onnxscript", "pipelines"}
    assert (engine, slow & set(modules)) == ("onnx", set())


def test_the_last_are_kept_and_made_once() -> None:
    recent: Recent[int, str] = Recent(2)
    made: list[int] = []

    def get(key: int) -> str:
        return recent.get(key, lambda: made.append(key) or str(key))  # type: ignore[func-returns-value]

    assert [get(key) for key in (1, 2, 1, 3, 1, 2)] == ["1", "2", "1", "3", "1", "2"]
    assert made == [1, 2, 3, 2]
    assert len(recent) == 2


def test_what_fails_is_not_kept() -> None:
    recent: Recent[int, str] = Recent(2)

    def fail() -> str:
        raise EngineError("no")

    with pytest.raises(EngineError, match="no"):
        recent.get(1, fail)
    assert recent.get(1, lambda: "yes") == "yes"


def test_threads_that_come_together_make_one() -> None:
    recent: Recent[int, object] = Recent(2)
    together = Barrier(4)

    def get() -> object:
        together.wait()
        return recent.get(1, object)

    with ThreadPoolExecutor(4) as pool:
        found = [future.result() for future in [pool.submit(get) for _ in range(4)]]
    assert len(set(map(id, found))) == 1


def test_the_graph_of_a_bundled_entry_has_a_place_of_its_own(cache: Path) -> None:
    places = {KeptGraph.of(bundled_store().open(name).manifest).path for name in BUNDLED}
    assert len(places) == len(BUNDLED)
    assert {path.parent for path in places} == {cache / "graphs"}
