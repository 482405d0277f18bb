import json

import pytest
import torch

from pipelines.config import parse_section
from pipelines.errors import ConfigError
from pipelines.train.network import NetworkConfig
from tunable_models import ControlSpace

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
    with pytest.raises(ConfigError, match="has no preset 'w33'; did you mean 'w32'"):
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


def test_deltas_alone_leave_the_base_frozen() -> None:
    network = small(train="deltas").make(SPACE, 0)
    trained = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    assert trained
    assert len(trained) < len(list(network.named_parameters()))
    assert all("delta" in name for name in trained)


def test_patterns_choose_what_is_tunable() -> None:
    assert size(small(include=("body.*",))) < size(small())
    assert size(small(exclude=("body.*",))) < size(small())
