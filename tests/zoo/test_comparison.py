"""Two entries side by side."""

from collections.abc import Callable

import torch

from tunable_models import Control, ControlSpace, TunableNetwork
from zoo.comparison import ABSENT, diff_entries
from zoo.entry import Entry


def test_an_entry_is_like_itself_whatever_its_version(entry: Entry, publish: Callable[..., Entry]) -> None:
    assert diff_entries(entry, entry) == []
    described = publish(description="Other words.")
    assert [item.name for item in diff_entries(entry, described)] == ["description"]


def test_sliders_numbers_and_weights_are_compared(
    entry: Entry,
    publish: Callable[..., Entry],
    network: TunableNetwork,
    make_network: Callable[..., TunableNetwork],
) -> None:
    space = ControlSpace.box(Control(name="denoise", default=0.75), "sharpen")
    changed = make_network(space=space)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.mul_(1.5)
    other = publish(changed, metrics={"summary": {"psnr": 30.0, "by": {"sigma": 1}}})
    found = {item.name: (item.first, item.second) for item in diff_entries(entry, other)}
    assert found["sliders.denoise.default"] == (0.5, 0.75)
    assert found["sliders.sigma.high"] == (50, ABSENT)
    assert found["sliders.sharpen.low"] == (ABSENT, 0.0)
    assert found["metrics.by.sigma"][1] == 1
    assert abs(found["weights.relative_change"][1] - 0.5) < 1e-6


def test_networks_of_other_tensors_are_counted(
    entry: Entry, publish: Callable[..., Entry], make_network: Callable[..., TunableNetwork]
) -> None:
    other = publish(make_network(width=4))
    found = {item.name: (item.first, item.second) for item in diff_entries(entry, other)}
    assert found["architecture.config.width"] == (8, 4)
    assert found["weights.tensors"][0] == found["weights.tensors"][1]
