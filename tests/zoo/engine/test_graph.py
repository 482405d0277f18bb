"""Graphs: what is kept of them, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from tunable_models import ControlSpace, TunableNetwork, make_tunable
from zoo.engine.graph import ELSEWHERE, Graph, Weights, check_graph, export_graph
from zoo.errors import EngineError

pytestmark = pytest.mark.slow  # they share a graph whose export takes seconds


def test_no_weight_is_kept_and_none_is_forgotten(graph: Graph, weights: Weights) -> None:
    model = onnx.load_model_from_string(graph.model)
    assert set(graph.names) == set(weights)
    for tensor in model.graph.initializer:
        assert (tensor.data_location, tensor.raw_data) == (TensorProto.EXTERNAL, b"")
    assert [value.name for value in model.graph.input] == ["image"]


def test_nothing_of_the_machine_is_kept(graph: Graph) -> None:
    assert b"site-packages" not in graph.model
    assert b".py" not in graph.model


def test_a_kept_graph_is_sound(graph: Graph, weights: Weights) -> None:
    assert check_graph(graph.model, weights) == graph


def test_exporting_leaves_the_random_state(network: TunableNetwork, weights: Weights) -> None:
    before = torch.get_rng_state()
    export_graph(network, weights, 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_that_cannot_be_exported_says_so(weights: Weights) -> None:
    class OneSize(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.all = torch.nn.Linear(3 * 24 * 40, 2)

        def forward(self, x: torch.Tensor) -> Any:
            return self.all(x.flatten(1))

    net = make_tunable(OneSize(), ControlSpace.box("a"))
    with pytest.raises(EngineError, match=r"it cannot be exported: .*any size"):
        export_graph(net, weights, 3)


def with_file(model: Any) -> None:
    model.graph.initializer[0].external_data[0].value = "/etc/hostname"


def with_length(model: Any) -> None:
    model.graph.initializer[0].external_data.add(key="length", value="4")


def with_own_values(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("external_data")
    tensor.data_location = TensorProto.DEFAULT
    tensor.raw_data = bytes(4 * int(np.prod(tensor.dims)))


def with_another_shape(model: Any) -> None:
    model.graph.initializer[0].dims[0] += 1


def with_another_type(model: Any) -> None:
    model.graph.initializer[0].data_type = TensorProto.DOUBLE


def with_a_stranger(model: Any) -> None:
    model.graph.initializer[0].name = "network.stranger"


def with_one_twice(model: Any) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def _from_a_file() -> TensorProto:
    tensor = TensorProto(name="secret", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=ELSEWHERE)
    return tensor


def with_a_constant_from_a_file(model: Any) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["more"], value=_from_a_file()))


def with_a_branch_that_reads(model: Any) -> None:
    output = helper.make_tensor_value_info("secret", TensorProto.FLOAT, [1])
    branch = helper.make_graph([], "branch", [], [output], [_from_a_file()])
    node = helper.make_node("If", ["yes"], ["more"], then_branch=branch, else_branch=branch)
    model.graph.node.append(node)


def with_a_foreign_operator(model: Any) -> None:
    model.graph.node[0].domain = "com.microsoft"


def with_a_function(model: Any) -> None:
    model.functions.add(name="f", domain="mine")


def with_another_input(model: Any) -> None:
    model.graph.input[0].name = "picture"


def with_options(model: Any) -> None:
    model.metadata_props.add(key="ort_config", value="{}")


@pytest.mark.parametrize(
    "change",
    [
        with_file,
        with_length,
        with_own_values,
        with_another_shape,
        with_another_type,
        with_a_stranger,
        with_one_twice,
        with_a_constant_from_a_file,
        with_a_branch_that_reads,
        with_a_foreign_operator,
        with_a_function,
        with_another_input,
        with_options,
    ],
)
def test_what_is_refused(graph: Graph, weights: Weights, change: Callable[[Any], None]) -> None:
    model = onnx.load_model_from_string(graph.model)
    change(model)
    with pytest.raises(EngineError):
        check_graph(model.SerializeToString(), weights)


@pytest.mark.parametrize("data", [b"", b"no model at all", b"\xff" * 100])
def test_no_graph_at_all(weights: Weights, data: bytes) -> None:
    with pytest.raises(EngineError):
        check_graph(data, weights)
