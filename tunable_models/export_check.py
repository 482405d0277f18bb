"""What an exported graph is compared with before it is handed out: its network, at other sizes too.

An exporter may take for a constant what depended on the picture's size. Nothing says so; the graph then gives
other pictures, or none, at any other size.
"""

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from tunable_models.errors import ConversionError

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.onnx import ONNXProgram

MULTIPLES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 48, 56, 64, 96, 128)
"""What the sides of pictures may have to be multiples of."""

_DIFFERS = "its graph gives another output than the network, which may keep something from call to call"

Inputs = tuple[Tensor, ...]
"""The image (B, C, H, W), and what else a graph takes."""


def example_sides(alignment: int, multiple: int) -> tuple[int, int]:
    """Height and width to trace at: multiples, unequal, and more than a block of the network's grid.

    At one block, or at equal sides, a size would be taken for a constant.
    """
    grid = max(alignment, multiple)
    return tuple(  # type: ignore[return-value]
        -(-max(least, blocks * grid) // multiple) * multiple for least, blocks in ((24, 2), (40, 3))
    )


def check_program(program: "ExportedProgram", graph: nn.Module, inputs: Inputs, multiple: int) -> None:
    """See that a program gives the network's output at three sizes.

    Raises:
        RuntimeError, AssertionError: it does not; a relation between sizes is a guard in the graph.
    """
    run = program.module()
    for other in _other_sizes(inputs, multiple):
        _compare_outputs(run, graph, other)


def check_onnx(onnx: "ONNXProgram", program: "ExportedProgram", inputs: Inputs, multiple: int) -> None:
    """See that an ONNX model gives its program's output at three sizes, where onnxruntime is installed.

    Raises:
        ConversionError: it does not, with the size and what may depend on it.
    """
    if find_spec("onnxruntime") is None:
        return
    traced = _format_sides(inputs)
    network = program.module()
    for other in _other_sizes(inputs, multiple):
        try:
            _compare_outputs(lambda *tensors: onnx(*(tensor.cpu() for tensor in tensors)), network, other)
        except Exception as error:  # the runtime's exceptions have no common type but this
            if _format_sides(other) == traced and not isinstance(error, AssertionError):
                return  # an operator or a type that this runtime has not; others may
            raise ConversionError(
                f"traced at {traced}, it does not give the network's output at {_format_sides(other)}"
                f"{_name_suspects(program)}"
            ) from error
        finally:
            onnx.release()


def needed_multiple(graph: nn.Module, inputs: Inputs, multiple: int) -> int | None:
    """What sides must be multiples of for the network to run, if ``multiple`` is not enough; None if unknown.

    Args:
        graph: the network, called with the inputs.
        inputs: those of an example.
        multiple: sides were multiples of this.
    """
    more = (number for number in MULTIPLES if number % multiple == 0)
    found = next((number for number in more if _runs_at(graph, inputs, number)), None)
    return None if found == multiple else found


@torch.no_grad()
def _runs_at(graph: nn.Module, inputs: Inputs, multiple: int) -> bool:
    """Whether it does at sides that are odd multiples, so that they are those of nothing larger."""
    blocks = [side // multiple // 2 * 2 + 1 for side in inputs[0].shape[-2:]]
    try:
        for more in (2, 4, 6):
            graph(*_resize_inputs(inputs, 1, *((count + more) * multiple for count in blocks)))
    except (RuntimeError, ValueError, AssertionError):  # torch's own, and what a network checks by itself
        return False
    return True


def _other_sizes(inputs: Inputs, multiple: int) -> Iterator[Inputs]:
    height, width = inputs[0].shape[-2:]
    yield inputs
    yield _resize_inputs(inputs, 1, height + multiple, width + 3 * multiple)
    yield _resize_inputs(inputs, 3, 2 * height + multiple, width + multiple)


def _resize_inputs(inputs: Inputs, batch: int, height: int, width: int) -> Inputs:
    image = torch.rand(batch, inputs[0].shape[1], height, width)
    return (image.to(inputs[0]), *inputs[1:])


def _format_sides(inputs: Inputs) -> str:
    return "x".join(map(str, inputs[0].shape[-2:]))


@torch.no_grad()
def _compare_outputs(ours: Callable[..., Any], theirs: Callable[..., Any], inputs: Inputs) -> None:
    coarse = inputs[0].dtype in (torch.float16, torch.bfloat16)
    rtol, atol = (3e-2, 1e-2) if coarse else (1e-3, 1e-4)
    found, wanted = (tree_leaves(network(*inputs)) for network in (ours, theirs))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a.to(b.device), b, rtol=rtol, atol=atol, msg=lambda _: _DIFFERS)


def _name_suspects(program: "ExportedProgram") -> str:
    """What is known to be made for one size, if the graph has it."""
    names: Sequence[str] = sorted(
        {
            str(node.target).split(".")[1]
            for node in program.graph.nodes
            if "adaptive" in str(node.target) and any(size != 1 for size in node.args[1])
        }
    )
    return f": {', '.join(names)} is made for the traced size" if names else ""
