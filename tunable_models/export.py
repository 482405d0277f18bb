"""Exporting a network: a graph for other programs, at one setting or with its sliders as an input.

``export_program`` gives what ``torch.export`` gives, ``to_onnx`` an ONNX model of it; both take pictures of
any batch and size afterwards, and are seen to do so before they are handed out. A file that spandrel and its
tools load needs no graph: it is the ``state_dict`` of :func:`tunable_models.fold`.

torch's exporters are imported by the call that needs them: they take longer than the rest of this package.
"""

import copy
import math
import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tunable_models._conversion.checks import check_module
from tunable_models.errors import ConversionError
from tunable_models.export_check import check_onnx, check_program, example_sides, needed_multiple
from tunable_models.folding import fold
from tunable_models.network import TunableNetwork

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.onnx import ONNXProgram

IMAGE, OMEGA, OUTPUT = "image", "omega", "output"
"""Names of the graph's inputs and of its output."""

SIZES = {0: "batch", 2: "height", 3: "width"}
"""Which dimensions of the image are free, and what they are called in an ONNX model."""

_NEEDED = ("onnx", "onnxscript")


def export_program(
    network: nn.Module,
    omega: Tensor | Mapping[str, float] | None = None,
    *,
    channels: int = 3,
    size_px: tuple[int, int] | None = None,
    multiple: int = 1,
) -> "ExportedProgram":
    """The graph of a network that takes pictures (B, C, H, W), for any B, H and W.

    With an omega the network is folded there, and ``image`` is the graph's one input. Without one, a
    tunable network keeps its sliders: ``omega`` (P,) is the second input, which the graph does not check.
    Neither is the network changed, nor does the graph follow later changes of it.

    Args:
        network: tunable or plain; exported as in evaluation mode.
        omega: (P,), or native values by name; for a tunable network only.
        channels: C.
        size_px: height and width of the example that is traced; by default one that suits the network.
        multiple: H and W are multiples of this many pixels, for networks that need it.

    Raises:
        ConversionError: an omega for a plain network, or one whose graph depends on the picture's size; the
            message says which ``multiple`` it needs, if that is the reason.
        OmegaError: the setting is not of the network's space.

    Example:
        >>> from tunable_models import ControlSpace, make_tunable
        >>> net = make_tunable(nn.Conv2d(3, 3, 3, padding=1), ControlSpace.box("denoise"))
        >>> program = export_program(net, {"denoise": 0.5})
        >>> image = torch.rand(2, 3, 9, 7)
        >>> torch.allclose(program.module()(image), net.at(denoise=0.5)(image), atol=1e-6)
        True
    """
    from torch.export import Dim, export

    check_module(network)
    graph = _make_graph(network, omega)
    example = _make_example(graph, channels, size_px, multiple)
    sides = {2: multiple * Dim("rows"), 3: multiple * Dim("columns")} if multiple > 1 else {}
    shapes = {IMAGE: dict.fromkeys(SIZES, Dim.DYNAMIC) | sides, OMEGA: None}
    inputs = tuple(example.values())
    reference = copy.deepcopy(graph)  # an exporter's call may leave something on the graph
    try:
        program = export(graph, inputs, dynamic_shapes={name: shapes[name] for name in example})
        check_program(program, reference, inputs, multiple)
    except (RuntimeError, ValueError, AssertionError) as error:  # the exporter's own, and a graph's guards
        needed = needed_multiple(reference, inputs, multiple)
        reason = str(error).strip().partition("\n")[0]
        if needed is not None:
            reason = f"it needs sides that are multiples of {needed}; say multiple={needed}"
        sizes = "any size" if multiple == 1 else f"sides that are multiples of {multiple}"
        raise ConversionError(
            f"{_source_name(network)} cannot be exported for pictures of {sizes}: {reason}"
        ) from error
    return program


def to_onnx(
    network: nn.Module,
    omega: Tensor | Mapping[str, float] | None = None,
    *,
    channels: int = 3,
    size_px: tuple[int, int] | None = None,
    multiple: int = 1,
    opset: int | None = None,
    optimize: bool = True,
) -> "ONNXProgram":
    """The ONNX model of a network; ``.save(path)`` writes it, ``.model_proto`` holds it.

    Inputs are ``image`` (batch, C, height, width) and, for a tunable network without an omega, ``omega``
    (P,) in [0, 1]; the output is ``output``. A multiple is said in the model's metadata. Where onnxruntime
    is installed, the model is run at three sizes and compared with the network.

    Args:
        network: tunable or plain; exported as in evaluation mode.
        omega: (P,), or native values by name; for a tunable network only.
        channels: C.
        size_px: height and width of the example that is traced; by default one that suits the network.
        multiple: height and width are multiples of this many pixels, for networks that need it.
        opset: version of ONNX's operators; torch's own choice by default.
        optimize: whether what depends on weights alone is computed beforehand. Without it every parameter
            and buffer is an initializer under its own name behind ``network.``, to be replaced.

    Raises:
        ConversionError: as :func:`export_program`; an operator that ONNX lacks, or that its model has for the
            traced size alone; an opset that cannot be had; or the extra ``export`` is not installed.
        OmegaError: the setting is not of the network's space.

    Example:
        >>> program = to_onnx(nn.Conv2d(3, 8, 1))
        >>> print(program.model.graph.outputs[0].shape)
        [batch,8,height,width]
    """
    check_module(network)
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConversionError(f"ONNX needs {', '.join(missing)}: pip install 'tunable-zoo[export]'")
    from torch.onnx import OnnxExporterError, export

    program = export_program(network, omega, channels=channels, size_px=size_px, multiple=multiple)
    name = _source_name(network)
    try:
        onnx = export(program, output_names=[OUTPUT], opset_version=opset, verbose=False, optimize=optimize)
    except OnnxExporterError as error:
        cause: BaseException = error
        while (
            cause.__cause__ is not None
        ):  # the exporter's own words are advice; the first fault has the name
            cause = cause.__cause__
        reason = str(cause).strip().partition("\n")[0]
        raise ConversionError(f"{name} cannot be exported to ONNX: {reason}") from error
    assert onnx is not None  # that is what the exporter without a program returns
    got = onnx.model.opset_imports[""]
    if opset not in (None, got):  # the exporter only warns
        raise ConversionError(
            f"{name} cannot be exported to ONNX: opset {opset} lacks what it needs, {got} has it"
        )
    _name_sizes(onnx, program, multiple)
    if multiple > 1:
        onnx.model.metadata_props["multiple"] = str(multiple)
    assert program.example_inputs is not None
    try:
        check_onnx(onnx, program, program.example_inputs[0], multiple)
    except ConversionError as error:
        raise ConversionError(f"{name} cannot be exported to ONNX: {error}") from error
    return onnx


class _Graph(nn.Module):
    """A network whose inputs have the names, and the places, that the graph gives them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Any:
        return self.network(image)


class _SliderGraph(_Graph):
    network: TunableNetwork

    def forward(self, image: Tensor, omega: Tensor) -> Any:  # type: ignore[override]
        return self.network(image, omega=omega)


def _make_graph(network: nn.Module, omega: Tensor | Mapping[str, float] | None) -> _Graph:
    if omega is not None:
        return _Graph(fold(network, omega)).eval()
    kind = _SliderGraph if isinstance(network, TunableNetwork) else _Graph
    return kind(copy.deepcopy(network)).eval()  # a copy: eval() must not reach the network itself


def _source_name(network: nn.Module) -> str:
    return type(network.network if isinstance(network, TunableNetwork) else network).__name__


def _make_example(
    graph: _Graph, channels: int, size_px: tuple[int, int] | None, multiple: int
) -> dict[str, Tensor]:
    plain = graph.network.network if isinstance(graph, _SliderGraph) else graph.network
    height, width = size_px or example_sides(int(getattr(plain, "alignment", 1)), multiple)
    if height % multiple or width % multiple:
        raise ConversionError(f"expected size_px in multiples of {multiple}, got {height}x{width}")
    numbers = (tensor for tensor in (*graph.parameters(), *graph.buffers()) if tensor.is_floating_point())
    like = next(numbers, torch.empty(0))
    example = {IMAGE: torch.rand(2, channels, height, width, dtype=like.dtype, device=like.device)}
    if isinstance(graph, _SliderGraph):
        example[OMEGA] = graph.network.omega()
    return example


def _name_sizes(onnx: "ONNXProgram", program: "ExportedProgram", multiple: int) -> None:
    """Say ``height`` instead of the exporter's ``s53``, or ``2*s53``, in every shape of the model."""
    image = next(node.meta["val"] for node in program.graph.nodes if node.name == IMAGE)
    names = {str(image.shape[place]).rpartition("*")[2]: name for place, name in SIZES.items()}
    symbol = re.compile(r"(?:\b(\d+)\*)?\b(" + "|".join(names) + r")\b")

    def named(found: re.Match[str]) -> str:
        times, name = int(found[1] or 1), names[found[2]]
        over = 1 if name == SIZES[0] else multiple
        common = math.gcd(times, over)
        factor = "" if times == common else f"{times // common}*"
        return f"{factor}{name}" + ("" if over == common else f"/{over // common}")

    graph: Any = onnx.model.graph
    for value in (*graph.inputs, *(output for node in graph for output in node.outputs)):
        # A size that depends on nothing known has no name, and must not get one.
        if any(symbol.search(str(size)) for size in value.shape or ()):
            value.shape = type(value.shape)(  # anew: that of an older opset cannot be written
                [symbol.sub(named, str(size)) if symbol.search(str(size)) else size for size in value.shape]
            )
