import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError, DataError
from pipelines.core.records import sha256_file
from pipelines.training.network import NetworkConfig
from tunable_models import ControlSpace, build

SPACE = ControlSpace.box("denoise", "deblur")


def small(**options: object) -> NetworkConfig:
    values = {"architecture": "edsr", "config": {"width": 4, "blocks": 1}, **options}
    return parse_section(values, "network", NetworkConfig)


def test_a_preset_is_a_published_size_and_options_change_it() -> None:
    preset = parse_section({"architecture": "nafnet", "preset": "w32"}, "network", NetworkConfig)
    assert preset.options()["width"] == 32
    narrow = parse_section(
        {"architecture": "nafnet", "preset": "w32", "config": {"width": 4, "enc_blocks": [1, 1, 1, 1]}},
        "network",
        NetworkConfig,
    )
    assert narrow.options() == preset.options() | {"width": 4, "enc_blocks": [1, 1, 1, 1]}
    assert json.loads(json.dumps(narrow.options())) == narrow.options()
    with pytest.raises(ConfigError, match="'w32'"):
        parse_section({"architecture": "nafnet", "preset": "w33"}, "network", NetworkConfig)


def test_the_same_seed_makes_the_same_network_and_leaves_the_global_stream_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, again, other = (small().make(SPACE, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    pairs = [list(network.parameters()) for network in (one, again, other)]
    assert all(torch.equal(a, b) for a, b in zip(pairs[0], pairs[1], strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(pairs[0], pairs[2], strict=True))


def test_low_rank_deltas_are_fewer_numbers() -> None:
    full, low = small(config={"width": 16, "blocks": 1}), small(config={"width": 16, "blocks": 1}, rank=1)
    assert size(low) < 0.7 * size(full)


def size(config: NetworkConfig) -> int:
    return sum(parameter.numel() for parameter in config.make(SPACE, 0).parameters())


@pytest.fixture
def plain() -> nn.Module:
    return build("edsr", width=4, blocks=1)


def test_deltas_alone_leave_the_base_frozen(plain: nn.Module, tmp_path: Path) -> None:
    torch.save({"params": plain.state_dict()}, tmp_path / "start.pth")
    network = small(train="deltas", start="start.pth").make(SPACE, 0, tmp_path)
    trained = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    assert trained
    assert len(trained) < len(list(network.named_parameters()))
    assert all("delta" in name for name in trained)


def test_patterns_choose_what_is_tunable() -> None:
    assert size(small(include=("body.*",))) < size(small())
    assert size(small(exclude=("body.*",))) < size(small())


@pytest.mark.parametrize("name", ["start.safetensors", "start.pth", "start.PT"])
def test_it_starts_as_the_checkpoint(name: str, plain: nn.Module, tmp_path: Path) -> None:
    if name == "start.safetensors":
        safetensors.torch.save_file(plain.state_dict(), tmp_path / name)
    else:
        torch.save({"params": plain.state_dict()}, tmp_path / name)
    x = torch.rand(1, 3, 8, 8)
    for start in (name, str(tmp_path / name)):  # relative to the root, or absolute
        config = small(start=start)
        network = config.make(SPACE, 0, tmp_path).eval()
        torch.testing.assert_close(network.at(denoise=0.3, deblur=0.9)(x), plain.eval()(x))
        assert config.materials(tmp_path) == {"start": sha256_file(tmp_path / name)}
    assert small().materials(tmp_path) == {}


def test_it_starts_as_a_tunable_network_of_another_run(tmp_path: Path) -> None:
    earlier = small(basis="multilinear").make(SPACE, 1)
    with torch.no_grad():
        for parameter in earlier.parameters():
            parameter.add_(torch.rand_like(parameter) * 0.1)
    safetensors.torch.save_file(earlier.state_dict(), tmp_path / "model.safetensors")
    renamed = ControlSpace.box("dejpeg", "denoise")
    network = small(basis="multilinear", start="model.safetensors").make(renamed, 0, tmp_path)
    for name, tensor in earlier.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor)
    with pytest.raises(DataError, match=r"model\.safetensors.*shape"):
        small(basis="multilinear", start="model.safetensors").make(ControlSpace.box("one"), 0, tmp_path)
    with pytest.raises(DataError, match=r"model\.safetensors"):
        small(start="model.safetensors", exclude=("body.*",)).make(SPACE, 0, tmp_path)


def _other_size(path: Path) -> None:
    torch.save(build("edsr", width=5, blocks=1).state_dict(), path)


def _a_part(path: Path) -> None:
    state = build("edsr", width=4, blocks=1).state_dict()
    state.popitem()
    torch.save(state, path)


def _no_tensors(path: Path) -> None:
    torch.save(dict.fromkeys(build("edsr", width=4, blocks=1).state_dict(), "text"), path)


def _code(path: Path) -> None:
    torch.save(build("edsr", width=4, blocks=1), path)  # a pickled module could run anything


def _a_list(path: Path) -> None:
    torch.save([torch.zeros(1)], path)


def test_published_weights_start_at_a_noise_level_of_choice(tmp_path: Path) -> None:
    torch.save(build("drunet", "color", widths=[4, 8], blocks=1).state_dict(), tmp_path / "color.pth")
    config = {"widths": [4, 8], "blocks": 1, "noise_map": 15.0}
    network = small(architecture="drunet", preset="color", config=config, start="color.pth", train="deltas")
    x, plain = torch.rand(1, 3, 9, 7), build("drunet", "color", **config)
    plain.load_state_dict(torch.load(tmp_path / "color.pth", weights_only=True))
    torch.testing.assert_close(network.make(SPACE, 0, tmp_path)(x, omega=torch.zeros(2)), plain(x))


def test_an_option_may_be_unset() -> None:
    blind = small(architecture="drunet", preset="color", config={"noise_map": None})
    assert blind.options()["noise_map"] is None


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (_other_size, "does not fit.*of another shape"),
        (_a_part, "does not fit.*missing"),
        (_no_tensors, "does not fit"),
        (_code, "tensors alone"),
        (_a_list, "got a list"),
        (lambda path: path.write_bytes(b"no checkpoint"), "tensors alone"),
        (lambda path: None, "found no such file"),
    ],
)
def test_an_unfit_start_is_named(write: Any, words: str, tmp_path: Path) -> None:
    write(tmp_path / "start.pth")
    with pytest.raises(DataError, match=rf"start\.pth.*{words}|{words}.*start\.pth"):
        small(start="start.pth").make(SPACE, 0, tmp_path)


def test_a_broken_or_strange_start_is_named(tmp_path: Path) -> None:
    (tmp_path / "start.safetensors").write_bytes(b"no checkpoint")
    with pytest.raises(DataError, match=r"start\.safetensors"):
        small(start="start.safetensors").make(SPACE, 0, tmp_path)
    with pytest.raises(DataError, match=r"start\.npz"):
        small(start="start.npz").materials(tmp_path)
