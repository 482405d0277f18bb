"""Which engine is chosen, and what is said where it is another than hoped for."""

import logging
from collections.abc import Callable

import pytest
import torch

import zoo
from tunable_models import TunableNetwork, View
from tunable_models.architectures.edsr import EDSR
from zoo.engine import choice
from zoo.engine.choice import Precision, TorchEngine, make_engine
from zoo.errors import EngineError
from zoo.manifest import Manifest
from zoo.weights import rebuild_network

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _untold() -> None:
    choice._warn_once.cache_clear()


def test_torch_by_name(published: zoo.Entry) -> None:
    assert zoo.load(published.folder, engine="torch").engine == "torch"


def test_auto_is_torch_off_the_cpu(published: zoo.Entry) -> None:
    network = rebuild_network(published.manifest, published.contents()["model.safetensors"])
    assert make_engine("auto", network, published.manifest, torch.device("meta")).name == "torch"


def test_onnx_off_the_cpu_is_refused(published: zoo.Entry) -> None:
    with pytest.raises(EngineError, match=r"computes on the CPU, got device cuda; say engine='torch'"):
        zoo.load(published.folder, engine="onnx", device="cuda")


@pytest.mark.parametrize("module", ["onnxruntime", "onnx", "onnxscript"])
def test_what_is_missing_is_said_once(
    published: zoo.Entry, without: Callable[[str], None], caplog: pytest.LogCaptureFixture, module: str
) -> None:
    without(module)
    assert [zoo.load(published.folder).engine for _ in range(2)] == ["torch", "torch"]
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert f"needs {module}: pip install 'tunable-zoo[fast]'" in warning.getMessage()
    with pytest.raises(EngineError, match=rf"needs {module}: pip install 'tunable-zoo\[fast\]'"):
        zoo.load(published.folder, engine="onnx")


@pytest.mark.parametrize("name", ["tensorrt", "", "ONNX"])
def test_another_name_is_refused(published: zoo.Entry, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(EngineError, match=f"expected engine auto, onnx or torch, got {name!r}"):
        zoo.load(published.folder, engine=name)  # type: ignore[arg-type]
    monkeypatch.setenv("TUNABLE_ZOO_ENGINE", name)
    with pytest.raises(EngineError, match=f"expected TUNABLE_ZOO_ENGINE=auto, onnx or torch, got {name!r}"):
        zoo.load(published.folder)


def test_the_environment_says_what_auto_means(
    published: zoo.Entry, without: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    without("onnx")
    monkeypatch.setenv("TUNABLE_ZOO_ENGINE", "onnx")
    with pytest.raises(EngineError, match="needs onnx"):
        zoo.load(published.folder)
    assert zoo.load(published.folder, engine="torch").engine == "torch"


def test_an_export_that_fails_falls_back_with_a_sentence(
    published: zoo.Entry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = EDSR.forward
    # ONNX has no Bessel functions, so the exporter itself fails; this one adds nothing to the picture.
    monkeypatch.setattr(EDSR, "forward", lambda self, x: plain(self, x) + 0 * torch.special.bessel_j0(x))
    model = zoo.load(published.folder)
    assert model.engine == "torch"
    assert model(torch.rand(3, 9, 7)).shape == (3, 9, 7)
    assert "runs on torch" in caplog.text
    assert "it cannot be exported: EDSR cannot be exported to ONNX: No ONNX function" in caplog.text
    assert "bessel_j0" in caplog.text


def test_an_export_that_fails_is_an_error_if_onnx_is_asked_for(
    published: zoo.Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise EngineError("it cannot be exported: no such operator")

    monkeypatch.setattr("zoo.engine.on_onnx.export_graph", fail)
    with pytest.raises(EngineError, match=r"tiny@\w+ .*it cannot be exported: no such operator"):
        zoo.load(published.folder, engine="onnx")


def test_torch_computes_in_channels_last_and_gives_plain_tensors(
    network: TunableNetwork, manifest: Manifest
) -> None:
    own = rebuild_network(manifest, network_bytes(network))
    engine = TorchEngine(own, CPU)
    kernel = own.network.get_submodule("body.0.body.0")._parameters["weight"]
    assert kernel is not None
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    image = torch.rand(2, 3, 12, 9)
    output = engine.at((0.2, 0.7))(image)
    assert output.is_contiguous()
    with torch.no_grad():
        wanted = network.at(torch.tensor([0.2, 0.7]))(image)
    torch.testing.assert_close(output, wanted, rtol=0, atol=1e-6)


def network_bytes(network: TunableNetwork) -> bytes:
    from zoo.weights import encode_weights

    return encode_weights(network)


def test_the_log_says_what_runs(published: zoo.Entry, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "zoo"):
        zoo.load(published.folder, engine="torch")
    assert f"tiny@{published.version} runs on torch, device cpu" in caplog.text


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_the_bits_are_torch_s_and_near(published: zoo.Entry, precision: Precision) -> None:
    half = zoo.load(published.folder, precision=precision)
    assert half.engine == "torch"
    x = torch.rand(1, 3, 24, 24)
    wanted, found = zoo.load(published.folder, engine="torch")(x), half(x)
    assert found.dtype == torch.float32
    assert not torch.equal(found, wanted)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.05)


def test_what_an_engine_has_not_is_refused(published: zoo.Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        EngineError, match=r"onnx engine computes in float32, got bfloat16; say engine='torch'"
    ):
        zoo.load(published.folder, engine="onnx", precision="bfloat16")
    with pytest.raises(EngineError, match="expected precision float32, bfloat16 or float16, got 'int8'"):
        zoo.load(published.folder, precision="int8")  # type: ignore[arg-type]

    def without(*_: object) -> None:
        raise RuntimeError("not implemented for 'Half'\nand a trace")

    monkeypatch.setattr(torch, "conv2d", without)
    with pytest.raises(EngineError, match=r"no float16 on cpu: not implemented for 'Half'; say float32"):
        zoo.load(published.folder, precision="float16")


def test_no_memory_is_an_engine_error(published: zoo.Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo.load(published.folder, engine="torch")

    def full(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(View, "__call__", full)
    with pytest.raises(EngineError, match=r"no memory for 24 x 12 pixels at once.*smaller tiles"):
        model(torch.rand(3, 12, 24))
