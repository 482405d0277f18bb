"""Our folded files load in spandrel with equal output, and other projects' files load here."""

import sys
from pathlib import Path
from typing import Any

import pytest
import spandrel
import torch

from networks import perturb
from pipelines.core.errors import DataError, PipelineError
from pipelines.features.spandrel_checkpoints import READS, encode_for_spandrel, load_foreign
from tunable_models import ControlSpace, build, fold, list_architectures, make_tunable

# spandrel's own code calls it in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:torch.meshgrid:UserWarning")

CONFIGS: dict[str, dict[str, Any]] = {
    "nafnet": {"width": 4, "enc_blocks": (1, 2), "middle_blocks": 1, "dec_blocks": (2, 1)},
    "swinir": {"width": 12, "depths": (2, 2), "heads": (2, 3), "window": 8},
    "swinir jpeg": {"width": 8, "depths": (2,), "heads": (2,), "window": 7, "img_range": 255.0},
    "swinir x2": {"width": 8, "depths": (2,), "heads": (2,), "window": 8, "scale": 2},
    "swinir light x3": {
        "width": 8,
        "depths": (2,),
        "heads": (2,),
        "window": 8,
        "scale": 3,
        "upsampler": "pixelshuffledirect",
    },
}


def folded(label: str) -> torch.nn.Module:
    torch.manual_seed(0)
    net = make_tunable(build(label.split()[0], **CONFIGS[label]), ControlSpace.box("a", "b"), rank=1)
    perturb(net, 0.05)
    return fold(net.eval(), a=0.3, b=0.8)


@pytest.mark.parametrize("label", CONFIGS)
def test_a_folded_file_loads_in_spandrel_with_equal_output(label: str, tmp_path: Path) -> None:
    plain = folded(label)
    path = tmp_path / "folded.safetensors"
    path.write_bytes(encode_for_spandrel(plain, label.split()[0]))
    found = spandrel.ModelLoader().load_from_file(path)
    image = torch.rand(1, 3, 2 * 56, 56)  # a multiple of every window and level: neither has to pad
    with torch.no_grad():
        torch.testing.assert_close(found.model.eval()(image), plain(image), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("label", ["nafnet", "swinir x2"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_what_is_loaded_says_what_it_is(label: str, suffix: str, tmp_path: Path) -> None:
    plain = folded(label)
    path = tmp_path / f"foreign{suffix}"
    if suffix == ".pth":
        torch.save({"params_ema": plain.state_dict()}, path)
    else:
        path.write_bytes(encode_for_spandrel(plain, label.split()[0]))
    found = load_foreign(path)
    assert found.architecture.lower() == label.split()[0]
    assert (found.scale, found.input_channels, found.output_channels) == (2 if "x2" in label else 1, 3, 3)
    assert not found.network.training
    image = torch.rand(1, 3, 16, 24)
    with torch.no_grad():
        torch.testing.assert_close(found.network(image), plain(image), rtol=1e-4, atol=1e-5)


def test_a_foreign_network_gains_a_slider(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(encode_for_spandrel(folded("nafnet"), "nafnet"))
    found = load_foreign(path)
    net = make_tunable(found.network, ControlSpace.box("denoise"), train="deltas")
    perturb(torch.nn.ParameterList(p for p in net.parameters() if p.requires_grad))
    image = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        original = found.network(image)
        assert torch.equal(net(image, omega=torch.zeros(1)), original)
        assert not torch.allclose(net(image, omega=torch.ones(1)), original)


def test_published_drunet_weights_mean_the_same_here(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ours = build("drunet", "color", widths=[4, 6, 8, 10], noise_map=15)
    torch.save(ours.state_dict(), tmp_path / "color.pth")
    found = load_foreign(tmp_path / "color.pth")
    assert found.architecture == "DRUNet"
    image = torch.rand(2, 3, 24, 16)
    planes = torch.cat((image, torch.full((2, 1, 24, 16), 15 / 255)), dim=1)
    with torch.no_grad():
        torch.testing.assert_close(found.network(planes), ours(image), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(set(list_architectures()) - set(READS)))
def test_architectures_that_spandrel_does_not_know_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="export ONNX instead"):
        encode_for_spandrel(build(name), name)


def test_a_range_that_spandrel_would_guess_wrongly_is_refused() -> None:
    config = {**CONFIGS["swinir jpeg"], "img_range": 1.0}
    with pytest.raises(DataError, match="img_range 255, this one has 1"):
        encode_for_spandrel(build("swinir", **config), "swinir")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.bin", b"", "expected a file of"),
        ("none.pth", None, "no such file"),
        ("broken.pth", b"not a checkpoint", r"broken\.pth: .*checkpoint"),
        ("broken.safetensors", b"not a checkpoint", r"broken\.safetensors: .*checkpoint"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        load_foreign(tmp_path / name)


def test_tensors_of_no_known_architecture(tmp_path: Path) -> None:
    torch.save({"some.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(DataError, match="no architecture with these tensors"):
        load_foreign(tmp_path / "other.pth")


def test_pickled_code_is_not_run(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "harmed",)

    torch.save({"weight": Harm()}, tmp_path / "harm.pth")
    with pytest.raises(DataError):
        load_foreign(tmp_path / "harm.pth")
    assert not (tmp_path / "harmed").exists()


def test_without_spandrel_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(PipelineError, match=r"pip install 'tunable-zoo\[spandrel\]'"):
        load_foreign(tmp_path / "model.pth")
