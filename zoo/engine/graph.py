"""The ONNX graph of a network: made once, kept without weights, checked before it is run.

Every parameter and buffer of the folded network is an initializer of the graph under its own name. What is
kept holds its name, shape and type only, and marks the values as external; the session passes
them in. A graph from a file is not trusted: it may name no values but those, nor any operator that does
not belong to ONNX itself, so that it can read no file and run no code.
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from tunable_models import TunableNetwork, fold, to_onnx
from tunable_models.export import IMAGE, OUTPUT
from zoo.errors import EngineError

Weights = Mapping[str, NDArray[Any]]
"""Values of initializers by name."""

PREFIX = "network."
"""Before the names of parameters and buffers, in a graph."""

ELSEWHERE = "handed in"
"""Location of external values in a kept graph: no file of that name is ever read."""

_exporting = threading.Lock()


@dataclass(frozen=True)
class Graph:
    """A graph whose weights are left out.

    Attributes:
        model: the ONNX model's bytes.
        names: of the initializers that it lacks.
    """

    model: bytes
    names: tuple[str, ...]


def fold_weights(network: TunableNetwork, omega: torch.Tensor) -> dict[str, NDArray[Any]]:
    """Every tensor of the folded network under its name in a graph, contiguous.

    Args:
        network: on the CPU.
        omega: (P,).
    """
    plain = fold(network, omega)
    # Not its state_dict, which lacks what a network computes for itself, such as the mean to subtract.
    tensors = [*plain.named_parameters(remove_duplicate=False), *plain.named_buffers(remove_duplicate=False)]
    return {PREFIX + name: np.ascontiguousarray(tensor.detach().numpy()) for name, tensor in tensors}


def export_graph(network: TunableNetwork, weights: Weights, channels: int) -> Graph:
    """The graph of a network, for pictures of any batch and size.

    The caller's random state is left as it was. It takes seconds, and one thread at a time.

    Args:
        network: on the CPU.
        weights: what :func:`fold_weights` gives at any setting.
        channels: of its pictures.

    Raises:
        EngineError: the network cannot be exported, in a sentence.
    """
    try:
        with _exporting, torch.random.fork_rng(devices=[]):
            omega = network.space.omega()
            model = to_onnx(network, omega, channels=channels, optimize=False).model_proto
    except Exception as error:  # the exporters raise whatever an operator's translation does
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise EngineError(f"it cannot be exported: {reason}") from error
    _strip_weights(model, weights)
    return check_graph(model.SerializeToString(), weights)


def check_graph(data: bytes, weights: Weights) -> Graph:
    """A kept graph, if it is one of a network with these weights.

    Raises:
        EngineError: what speaks against it.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's own; its package has no types to name it by
        raise EngineError(f"it is no ONNX model: {error}") from error
    # Fields unknown to this version of ONNX could not be checked, and must not reach one that reads them.
    model.DiscardUnknownFields()
    names = _missing_weights(model, weights)
    return Graph(model.SerializeToString(), names)


def _strip_weights(model: Any, weights: Weights) -> None:
    """Remove the values of weights, and paths and stack traces of this machine."""
    model.ClearField("metadata_props")
    model.graph.ClearField("metadata_props")
    model.graph.ClearField("value_info")
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for tensor in model.graph.initializer:
        tensor.ClearField("metadata_props")
        if tensor.name in weights:
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=ELSEWHERE)


def _missing_weights(model: Any, weights: Weights) -> tuple[str, ...]:
    """The names of the weights that a graph lacks, if it is sound.

    Raises:
        EngineError: the graph is not sound.
    """
    graph = model.graph
    domains = {opset.domain for opset in model.opset_import} | {node.domain for node in _walk_nodes(graph)}
    if domains - {"", "ai.onnx"} or model.functions or model.training_info:
        raise EngineError("it has operators that are not ONNX's own")
    if model.metadata_props:  # a runtime may take options from there
        raise EngineError("it has properties, which a kept graph has not")
    if [v.name for v in graph.input] != [IMAGE] or [v.name for v in graph.output] != [OUTPUT]:
        raise EngineError(f"expected the input {IMAGE!r} and the output {OUTPUT!r}")
    names = []
    for tensor in graph.initializer:
        if tensor.name in weights:
            _check_form(tensor, weights[tensor.name])
            names.append(tensor.name)
        elif _is_elsewhere(tensor):
            raise EngineError(f"it wants values of {tensor.name!r}, which the network does not have")
    if len(set(names)) != len(names) or graph.sparse_initializer:
        raise EngineError("its initializers are not the network's")
    if any(map(_is_elsewhere, _inner_tensors(graph))):
        raise EngineError("it wants values from a file")
    return tuple(names)


def _check_form(tensor: Any, values: NDArray[Any]) -> None:
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    if tuple(tensor.dims) != values.shape or kind != values.dtype:
        raise EngineError(f"its {tensor.name!r} is {kind} {tuple(tensor.dims)}, not as the network's")
    places = [(entry.key, entry.value) for entry in tensor.external_data]
    if tensor.data_location != onnx.TensorProto.EXTERNAL or places != [("location", ELSEWHERE)]:
        raise EngineError(f"it has values of {tensor.name!r} of its own")


def _is_elsewhere(tensor: Any) -> bool:
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data)


def _walk_nodes(graph: Any) -> Iterator[Any]:
    """All nodes, those of graphs in attributes too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _walk_nodes(inner)


def _inner_tensors(graph: Any) -> Iterator[Any]:
    """All tensors that are not the outer graph's initializers."""
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for inner in (attribute.g, *attribute.graphs):
                yield from inner.initializer
                for sparse in inner.sparse_initializer:
                    yield from (sparse.values, sparse.indices)
                yield from _inner_tensors(inner)
