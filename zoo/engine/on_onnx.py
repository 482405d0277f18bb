"""The onnx engine: ONNX Runtime with the weights of the verified entry, folded at each setting.

The only module that imports ``onnxruntime``. The graph comes from the cache or is made; weights never do.
Of a graph and the weights at one setting a session is made, in the time that a small picture takes; the
last ones are kept.

What sessions need for features comes from one arena that all of a process share: with one each, eight
settings of a small network would hold two gigabytes for pictures of 512x512, and with the shared one they
hold what one needs.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import onnxruntime as ort
import torch
from torch import Tensor

from tunable_models import TunableNetwork
from tunable_models.export import IMAGE, OUTPUT
from zoo.engine.graph import Graph, Weights, check_graph, export_graph, fold_weights
from zoo.engine.graph_cache import KeptGraph
from zoo.errors import EngineError
from zoo.manifest import Manifest
from zoo.tiling import Network

Omega = tuple[float, ...]
K = TypeVar("K")
V = TypeVar("V")

CACHED_SESSIONS = 8
CACHED_BYTES = 512 * 2**20
"""Of weights in all sessions that are kept, one excepted."""

KEPT_PX = 768 * 768
"""A larger picture gives its memory back; the arena keeps what smaller ones and tiles need."""

TOLERANCE = 0.5 / 255
"""How far a fresh graph may be from torch, on [0, 1]."""

_log = logging.getLogger(__name__)
_arena = threading.Lock()
_shared = False


class OnnxEngine:
    """One network on ONNX Runtime; threads may share it.

    Args:
        network: on the CPU.
        manifest: of its entry.

    Raises:
        EngineError: the network cannot be exported, or gives other pictures than on torch.
    """

    name: Literal["onnx"] = "onnx"

    def __init__(self, network: TunableNetwork, manifest: Manifest) -> None:
        _share_arena()
        self._network, self._channels = network, manifest.input.channels
        default = network.space.omega()
        weights = fold_weights(network, default)
        size = sum(array.nbytes for array in weights.values())
        count = min(CACHED_SESSIONS, max(1, CACHED_BYTES // max(1, size)))
        self._sessions: Recent[tuple[Omega, int], Session] = Recent(count)
        self._graph, first = self._start(manifest, weights)
        self._sessions.get((tuple(default.tolist()), torch.get_num_threads()), lambda: first)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy, maybe in another process, makes sessions of its own network."""
        _share_arena()
        self.__dict__.update(state)

    def at(self, omega: Omega) -> Network:
        """The network at one setting, (B, 3, H, W) to (B, 3, s*H, s*W), on as many threads as torch has."""
        threads = torch.get_num_threads()
        return self._sessions.get((omega, threads), lambda: self._make(omega, threads)).run

    def release_memory(self) -> None:
        """Give the arena's memory back, but for what other threads compute with."""
        session = self._sessions.newest()
        if session is not None:
            side = self._small_side()
            session.run(torch.zeros(1, self._channels, side, side), gives_back=True)

    def _small_side(self) -> int:
        """The side of a small picture that any network takes."""
        return max(24, 2 * int(getattr(self._network.network, "alignment", 1)))

    def _make(self, omega: Omega, threads: int) -> "Session":
        return Session(self._graph, fold_weights(self._network, torch.tensor(omega)), threads)

    def _start(self, manifest: Manifest, weights: Weights) -> tuple[Graph, "Session"]:
        """A graph that runs, and its session at the defaults."""
        kept, threads = KeptGraph.of(manifest), torch.get_num_threads()
        data = kept.read()
        if data is not None:
            try:
                graph = check_graph(data, weights)
                return graph, Session(graph, weights, threads)
            except EngineError as error:
                _log.info("%s is made again: %s", kept.path, error)
        _log.info("writing the graph of %s for onnxruntime, once: some seconds", manifest.name)
        graph = export_graph(self._network, weights, manifest.input.channels)
        session = Session(graph, weights, threads)
        self._compare(graph, session)
        try:
            kept.write(graph.model)
        except OSError as error:
            _log.warning("the graph of %s could not be kept for the next time: %s", manifest.name, error)
        return graph, session

    def _compare(self, graph: Graph, session: "Session") -> None:
        """See at two settings, far apart, that a fresh graph gives torch's pictures.

        Raises:
            EngineError: it does not.
        """
        default = self._network.space.omega()
        if self._network.space.kind == "simplex":
            other = torch.zeros_like(default)
            other[default.argmin()] = 1.0
        else:
            other = (default < 0.5).to(default.dtype)
        side = self._small_side()
        image = torch.rand(1, 3, side + 1, side + 10, generator=torch.Generator().manual_seed(0))
        second = Session(graph, fold_weights(self._network, other), torch.get_num_threads())
        for omega, own in ((default, session), (other, second)):
            with torch.no_grad():
                wanted = self._network.at(omega)(image)
            difference = (own.run(image).clamp(0, 1) - wanted.clamp(0, 1)).abs().max().item()
            if not difference <= TOLERANCE:
                raise EngineError(f"its pictures differ from torch's by {255 * difference:.2g} of 255")


class Session:
    """A graph with weights.

    Args:
        graph: checked.
        weights: with all that it lacks; kept, because the session computes from their memory.
        threads: in one operator.

    Raises:
        EngineError: ONNX Runtime does not take the graph.
    """

    def __init__(self, graph: Graph, weights: Weights, threads: int) -> None:
        self._values = [ort.OrtValue.ortvalue_from_numpy(weights[name]) for name in graph.names]
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that wait by spinning take the cores of whatever else the machine does.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.use_env_allocators", "1")
        # The plan of a run's memory is one block of twice the size, which no other picture fits into.
        options.enable_mem_pattern = False
        options.log_severity_level = 3  # errors: its warnings are about the graph's making
        options.add_external_initializers(list(graph.names), self._values)
        try:
            self._session = ort.InferenceSession(graph.model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no common type but this
            raise EngineError(f"onnxruntime does not take the graph: {_first_line(error)}") from error

    def run(self, batch: Tensor, *, gives_back: bool = False) -> Tensor:
        """The output for (B, 3, H, W), float32 on the CPU.

        Args:
            batch: the pictures.
            gives_back: whether the arena gives its free memory back, as it does behind a large picture.

        Raises:
            EngineError: ONNX Runtime failed, for lack of memory for instance.
        """
        options = ort.RunOptions()
        if gives_back or batch.shape[-2] * batch.shape[-1] > KEPT_PX:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        try:
            image = np.ascontiguousarray(batch.numpy())
            (output,) = self._session.run([OUTPUT], {IMAGE: image}, options)
        except Exception as error:
            size = "x".join(map(str, batch.shape[:1:-1]))
            raise EngineError(
                f"onnxruntime failed on a picture of {size}: {_first_line(error)}; try engine='torch'"
            ) from error
        return torch.from_numpy(output)


class Recent(Generic[K, V]):
    """Cache of the most recent values; each is made once, also for concurrent threads.

    A copy, or what comes out of a pickle, has none yet: values may be sessions, which are this process's.

    Args:
        size: how many are kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[K, Future[V]] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """How to make it again, empty."""
        return type(self), (self._size,)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._kept)

    def newest(self) -> V | None:
        """The value that was asked for last, if it is made."""
        with self._lock:
            future = next(reversed(self._kept.values()), None)
        return future.result() if future is not None and future.done() and not future.exception() else None

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key, made if it is not there; what ``make`` raises is raised and forgotten."""
        with self._lock:
            future = self._kept.get(key)
            mine = Future[V]() if future is None else None
            if mine is not None:
                self._kept[key] = mine
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        if mine is None:
            assert future is not None
            return future.result()
        try:
            mine.set_result(make())
        except BaseException as error:
            with self._lock:
                if self._kept.get(key) is mine:
                    del self._kept[key]
            mine.set_exception(error)
        return mine.result()


def _share_arena() -> None:
    """One arena for all sessions of the process."""
    global _shared
    with _arena:
        if _shared:
            return
        memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
        # No limit; grown by what is asked for, not in powers of two; its other sizes as by default.
        ort.create_and_register_allocator(memory, ort.OrtArenaCfg(0, 1, -1, -1))
        _shared = True


def _first_line(error: BaseException) -> Any:
    return str(error).strip().partition("\n")[0] or type(error).__name__
