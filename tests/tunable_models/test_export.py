"""Exported graphs give what the network gives, at sizes they were not traced at."""

from functools import cache
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from networks import perturb
from tunable_models import (
    ControlSpace,
    ConversionError,
    OmegaError,
    TunableNetwork,
    build,
    fold,
    make_tunable,
)
from tunable_models.export import IMAGE, OMEGA, OUTPUT, export_program, to_onnx

# The smallest with every operator: a block of NAFNet between its ways down and up, one of SwinIR that shifts.
CONFIGS: dict[str, dict[str, Any]] = {
    "drunet": {"widths": (4, 6), "blocks": 1, "unshuffle": 2, "noise_map": 25.0},
    "edsr": {"width": 4, "blocks": 1, "scale": 2},
    "nafnet": {"width": 4, "enc_blocks": (0,), "middle_blocks": 1, "dec_blocks": (0,)},
    "swinir": {"width": 4, "depths": (2,), "heads": (2,), "window": 4},
}
SIZES = ((1, 24, 40), (2, 33, 17), (1, 7, 9), (3, 12, 12))
SETTING = torch.tensor([0.3, 0.8])


@cache
def network(name: str, rank: int | None = None) -> TunableNetwork:
    torch.manual_seed(0)
    net = make_tunable(build(name, **CONFIGS[name]), ControlSpace.box("a", "b"), rank=rank)
    perturb(net, 0.05)
    return net.eval()


@torch.no_grad()
def expected(net: TunableNetwork, image: Tensor, omega: Tensor) -> Tensor:
    output: Tensor = net(image, omega=omega)
    return output


def run_onnx(program: torch.onnx.ONNXProgram, **inputs: Tensor) -> Tensor:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), options)
    assert [value.name for value in session.get_inputs()] == list(inputs)
    return torch.from_numpy(session.run([OUTPUT], {name: x.numpy() for name, x in inputs.items()})[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_onnx_at_one_setting(name: str) -> None:
    net = network(name)
    program = to_onnx(net, SETTING)
    for batch, height, width in SIZES:
        image = torch.rand(batch, 3, height, width)
        torch.testing.assert_close(
            run_onnx(program, image=image), expected(net, image, SETTING), rtol=1e-4, atol=1e-5
        )


@pytest.mark.slow
def test_without_optimisation_every_tensor_is_there_to_be_replaced() -> None:
    net = network("swinir")  # whose matrices are transposed and biases gathered, if one lets it
    plain = fold(net, SETTING)
    tensors = [*plain.named_parameters(), *plain.named_buffers()]
    graph = to_onnx(net, SETTING, optimize=False).model_proto.graph
    found = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    assert found == {f"network.{name}": tuple(tensor.shape) for name, tensor in tensors}


@cache
def onnx_with_sliders(name: str) -> torch.onnx.ONNXProgram:
    return to_onnx(network(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["drunet", "edsr", "nafnet"])
def test_onnx_with_sliders(name: str) -> None:
    net, program = network(name), onnx_with_sliders(name)
    for (batch, height, width), omega in zip(SIZES, torch.rand(len(SIZES), 2), strict=True):
        image = torch.rand(batch, 3, height, width)
        torch.testing.assert_close(
            run_onnx(program, image=image, omega=omega), expected(net, image, omega), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize(("name", "rank"), [("swinir", None), ("edsr", 1)])
@pytest.mark.slow
def test_program_with_sliders(name: str, rank: int | None) -> None:
    net = network(name, rank)
    program = export_program(net).module()
    for batch, height, width in SIZES:
        image, omega = torch.rand(batch, 3, height, width), torch.rand(2)
        torch.testing.assert_close(program(image, omega), expected(net, image, omega), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_inputs_and_sizes_have_names() -> None:
    graph = onnx_with_sliders("edsr").model.graph
    shapes = {value.name: str(value.shape) for value in (*graph.inputs, *graph.outputs)}
    assert shapes == {
        IMAGE: "[batch,3,height,width]",
        OMEGA: "[2]",
        OUTPUT: "[batch,3,2*height,2*width]",
    }


@pytest.mark.slow
def test_the_network_is_left_as_it_is() -> None:
    net = make_tunable(nn.Sequential(nn.Conv2d(3, 3, 1), nn.Dropout(0.5)), controls=1).train()
    graph = export_program(net)
    assert all(module.training for module in net.modules())
    image, omega = torch.rand(2, 3, 8, 8), torch.rand(1)
    before = graph.module()(image, omega)
    torch.testing.assert_close(before, expected(net.eval(), image, omega))
    perturb(net)
    torch.testing.assert_close(graph.module()(image, omega), before)


@pytest.mark.slow
def test_a_plain_network() -> None:
    plain = nn.Conv2d(1, 2, 3)
    image = torch.rand(3, 1, 9, 5)
    graph = export_program(plain, channels=1).module()
    torch.testing.assert_close(graph(image), plain(image))


def test_a_network_without_parameters() -> None:
    image = torch.rand(3, 1, 9, 5)
    graph = export_program(nn.Upsample(scale_factor=2), channels=1).module()
    torch.testing.assert_close(graph(image), nn.Upsample(scale_factor=2)(image))


def test_a_network_in_double_precision() -> None:
    image = torch.rand(3, 3, 9, 5, dtype=torch.float64)
    plain = nn.Conv2d(3, 2, 3).double()
    torch.testing.assert_close(export_program(plain).module()(image), plain(image))
    tunable = make_tunable(plain, ControlSpace.box("a", "b"))
    perturb(tunable, 0.05)
    wanted = expected(tunable, image, SETTING)
    torch.testing.assert_close(export_program(tunable).module()(image, SETTING), wanted)
    torch.testing.assert_close(export_program(tunable, SETTING).module()(image), wanted)


def test_an_omega_for_a_plain_network_is_refused() -> None:
    with pytest.raises(ConversionError, match="tunable"):
        export_program(nn.Conv2d(3, 3, 1), SETTING)


def test_a_setting_out_of_range_is_refused() -> None:
    with pytest.raises(OmegaError):
        export_program(network("edsr"), torch.tensor([0.0, 2.0]))


def test_a_network_for_one_size_says_so() -> None:
    class OneSize(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.all = nn.Linear(3 * 24 * 40, 2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.all(x.flatten(1))
            return y

    with pytest.raises(ConversionError, match="OneSize cannot be exported for pictures of any size"):
        export_program(OneSize())


class Halving(nn.Module):
    """Takes sides that are multiples, as most U-Nets do."""

    def __init__(self, times: int = 2) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 4, 3, times, 1), nn.ConvTranspose2d(4, 3, times, times)
        self.out = nn.Conv2d(6, 12, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([self.up(self.down(x)), x], 1)
        return torch.nn.functional.pixel_shuffle(self.out(y), 2)


@pytest.mark.parametrize("times", [2, 6])
def test_the_multiple_that_a_network_needs_is_said(times: int) -> None:
    with pytest.raises(
        ConversionError,
        match=rf"^Halving cannot .* any size: .* are multiples of {times}; say multiple={times}$",
    ):
        export_program(make_tunable(Halving(times), 1))


def test_a_network_may_check_its_sides_itself() -> None:
    class Checking(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            assert image.shape[-1] % 8 == 0
            if image.shape[-2] % 8:
                raise ValueError("no")
            return image * 2

    with pytest.raises(ConversionError, match=r"say multiple=8$"):
        export_program(Checking())
    assert export_program(Checking(), multiple=8).module()(torch.ones(1, 3, 24, 16)).sum() == 2 * 3 * 24 * 16


def test_a_multiple_that_is_not_enough_says_which_is() -> None:
    network = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(48, 48, 1), nn.PixelShuffle(4))
    with pytest.raises(ConversionError, match=r"multiples of 2: it needs .* say multiple=4$"):
        export_program(network, multiple=2)
    image = torch.rand(1, 3, 12, 8)
    torch.testing.assert_close(export_program(network, multiple=4).module()(image), network(image))


def test_an_example_that_is_no_multiple_is_refused() -> None:
    with pytest.raises(ConversionError, match="size_px in multiples of 2, got 25x40"):
        export_program(Halving(), multiple=2, size_px=(25, 40))


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.slow
def test_onnx_for_multiples(opset: int) -> None:
    net = make_tunable(Halving(3), 2).eval()
    perturb(net)
    program = to_onnx(net, multiple=3, opset=opset)
    about = program.model_proto
    assert {entry.key: entry.value for entry in about.metadata_props} == {"multiple": "3"}
    assert [entry.version for entry in about.opset_import if entry.domain == ""] == [opset]
    shapes = [str(value.shape) for value in (program.model.graph.inputs[0], program.model.graph.outputs[0])]
    assert shapes == ["[batch,3,height,width]", "[batch,3,2*height,2*width]"]
    assert any("height/3" in str(o.shape) for node in program.model.graph for o in node.outputs)
    for batch, height, width in ((1, 3, 3), (2, 33, 27)):
        image, omega = torch.rand(batch, 3, height, width), torch.rand(2)
        torch.testing.assert_close(
            run_onnx(program, image=image, omega=omega), expected(net, image, omega), rtol=1e-4, atol=1e-5
        )


class Pooled(nn.Module):
    """Pools to a grid of cells, which ONNX has for one size alone unless it is a single cell."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.pool, self.conv = nn.AdaptiveAvgPool2d(cells), nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(self.conv(self.pool(x)), size=x.shape[-2:])


@pytest.mark.slow
def test_what_onnx_has_for_the_traced_size_alone_is_named() -> None:
    words = r"^Pooled cannot .* ONNX: traced at 24x40, .* at 25x43: adaptive_avg_pool2d is made for"
    with pytest.raises(ConversionError, match=words):
        to_onnx(make_tunable(Pooled(2), 1), torch.zeros(1))
    to_onnx(Pooled(1))


@pytest.mark.slow
def test_without_onnxruntime_there_is_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunable_models.export_check.find_spec", lambda _: None)
    to_onnx(Pooled(2))


@pytest.mark.slow
def test_onnx_in_half_precision() -> None:
    net = make_tunable(Halving(), 2).eval()
    perturb(net)
    program = to_onnx(net.half(), SETTING, multiple=2)
    image = torch.rand(1, 3, 8, 6).half()
    torch.testing.assert_close(
        run_onnx(program, image=image), expected(net, image, SETTING), rtol=1e-2, atol=1e-2
    )


@pytest.mark.slow
def test_an_opset_without_an_operator_is_refused() -> None:
    with pytest.raises(ConversionError, match="opset 13 lacks what it needs"):
        to_onnx(nn.Sequential(nn.Conv2d(3, 3, 1), nn.GroupNorm(1, 3), nn.GELU()), opset=13)


def test_an_operator_that_onnx_lacks_is_named() -> None:
    class Bessel(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.bessel_j0(x)

    with pytest.raises(ConversionError, match=r"^Bessel cannot be exported to ONNX: No ONNX .*bessel_j0"):
        to_onnx(Bessel())


def test_without_onnx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunable_models.export.find_spec", lambda _: None)
    with pytest.raises(ConversionError, match=r"onnx, onnxscript: pip install 'tunable-zoo\[export\]'"):
        to_onnx(network("edsr"))
