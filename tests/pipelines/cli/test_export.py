"""``tunable export``: the files it writes, and what it refuses to; ``tunable serve`` until Ray starts."""

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import onnxruntime
import pytest
import spandrel
import torch
from typer.testing import Result

import zoo
from pipelines.cli import common
from pipelines.cli.serve import _load_config
from published import publish_small
from tunable_models import ControlSpace

NAFNET = {"width": 4, "enc_blocks": [1], "middle_blocks": 1, "dec_blocks": [1]}


@pytest.fixture
def nafnet(tmp_path: Path) -> zoo.Entry:
    space = ControlSpace.box("denoise")
    return publish_small(tmp_path / "store", space, NAFNET, architecture="nafnet", name="naf")


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path.read_bytes())


@pytest.mark.slow
def test_onnx_at_one_setting(tunable: Callable[..., Result], store: zoo.Store, tmp_path: Path) -> None:
    result = tunable("export", "tiny", "--onnx", "out.onnx", "--set", "denoise=0.25", "level=10")
    assert result.exit_code == 0, result.stderr
    assert "denoise=0.25, level=10" in result.stdout
    image = torch.rand(1, 3, 9, 14)
    model = zoo.load(store.open("tiny").folder)
    with torch.no_grad():
        expected = model.network.at(denoise=0.25, level=10.0)(image)
    found = session(tmp_path / "out.onnx").run(None, {"image": image.numpy()})[0]
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_onnx_keeps_its_sliders_and_says_what_they_are(
    tunable: Callable[..., Result], store: zoo.Store, tmp_path: Path
) -> None:
    result = tunable("export", "tiny", "--onnx", "out.onnx")
    assert result.exit_code == 0, result.stderr
    assert "omega is an input" in result.stdout
    assert [value.name for value in session(tmp_path / "out.onnx").get_inputs()] == ["image", "omega"]
    about = {prop.key: prop.value for prop in onnx.load(tmp_path / "out.onnx").metadata_props}
    space = ControlSpace.from_dict(json.loads(about["controls"]))
    assert space == zoo.load(store.open("tiny").folder).space


@pytest.mark.slow
def test_onnx_in_float16_of_an_opset(
    tunable: Callable[..., Result], store: zoo.Store, tmp_path: Path
) -> None:
    settings = ("--set", "denoise=0.25", "level=10")
    result = tunable("export", "tiny", "--onnx", "out.onnx", "--half", "--opset", "20", *settings)
    assert result.exit_code == 0, result.stderr
    model = onnx.load(tmp_path / "out.onnx")
    assert [entry.version for entry in model.opset_import if entry.domain == ""] == [20]
    assert {prop.key: prop.value for prop in model.metadata_props}["precision"] == "float16"
    image = torch.rand(1, 3, 9, 14)
    with torch.no_grad():
        expected = zoo.load(store.open("tiny").folder).network.at(denoise=0.25, level=10.0)(image)
    found = session(tmp_path / "out.onnx").run(None, {"image": image.half().numpy()})[0]
    torch.testing.assert_close(torch.from_numpy(found).float(), expected, rtol=1e-2, atol=1e-2)


def test_a_checkpoint_for_spandrel(tunable: Callable[..., Result], nafnet: zoo.Entry, tmp_path: Path) -> None:
    result = tunable("export", nafnet.folder, "--spandrel", "out.safetensors", "--set", "denoise=0.5")
    assert result.exit_code == 0, result.stderr
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        found = spandrel.ModelLoader().load_from_file(tmp_path / "out.safetensors").model.eval()(image)
        expected = zoo.load(nafnet.folder).network.at(denoise=0.5)(image)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_only_the_file_is_left(tunable: Callable[..., Result], nafnet: zoo.Entry, tmp_path: Path) -> None:
    tunable("export", nafnet.folder, "--spandrel", "out.safetensors")
    assert {path.name for path in tmp_path.iterdir()} == {"store", "out.safetensors"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "one of --onnx FILE and --spandrel FILE"),
        (["--onnx", "a.onnx", "--spandrel", "a.safetensors"], "one of --onnx FILE and --spandrel FILE"),
        (["--spandrel", "a.safetensors", "--half"], "are for --onnx FILE"),
        (["--spandrel", "a.safetensors", "--opset", "20"], "are for --onnx FILE"),
        (["--onnx", "a.pth"], "expected the suffix .onnx"),
        (["--spandrel", "a.pth"], "expected the suffix .safetensors"),
        (["--onnx", "none/a.onnx"], "does not exist"),
        (["--onnx", "folder.onnx"], "is a folder"),
        (["--onnx", "old.onnx"], "--force"),
        (["--onnx", "a.onnx", "--set", "denoise=2"], "0 to 1"),
        (["--spandrel", "a.safetensors"], "not edsr; export ONNX instead"),
    ],
)
def test_what_cannot_be(
    tunable: Callable[..., Result], tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "old.onnx").write_bytes(b"precious")
    result = tunable("export", "tiny", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"folder.onnx", "old.onnx"}
    assert (tmp_path / "old.onnx").read_bytes() == b"precious"


def test_force_replaces_the_file(tunable: Callable[..., Result], nafnet: zoo.Entry, tmp_path: Path) -> None:
    (tmp_path / "out.safetensors").write_bytes(b"old")
    arguments = ("export", nafnet.folder, "--spandrel", "out.safetensors")
    assert tunable(*arguments).exit_code == 1
    assert tunable(*arguments, "--force").exit_code == 0
    assert (tmp_path / "out.safetensors").stat().st_size > 3


def test_a_missing_extra_is_one_sentence(
    tunable: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common, "find_spec", lambda module: None if module == "ray" else object())
    result = tunable("serve", "tiny")
    assert (result.exit_code, result.stderr) == (
        1,
        "tunable: this needs ray: pip install 'tunable-zoo[serve]'\n",
    )


def test_unknown_model(tunable: Callable[..., Result]) -> None:
    result = tunable("serve", "tinny")
    assert result.exit_code == 1
    assert "did you mean 'tiny'" in result.stderr


def test_one_name_twice(tunable: Callable[..., Result], store: zoo.Store) -> None:
    result = tunable("serve", "tiny", f"tiny@{store.versions('tiny')[0]}")
    assert result.exit_code == 1
    assert "twice" in result.stderr


def test_options_come_before_params(tunable: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {train: {cmd: tunable run train}}")
    (tmp_path / "params.yaml").write_text("serve: {port: 9000, replicas: 3}\n")
    config = _load_config(host=None, port=9001)
    assert (config.host, config.port, config.replicas) == ("127.0.0.1", 9001, 3)
