import copy
import json
import pickle
from typing import Any

import pytest
from torch import nn

from tunable_models import (
    ArchitectureError,
    ControlSpace,
    ConversionError,
    NetworkSpec,
    TunableConv2d,
    TunableNetwork,
    build,
    fold,
    from_specialists,
    get_architecture,
    make_tunable,
)

SPACE = ControlSpace.box("denoise", "deblur")
SMALL = {"width": 4, "blocks": 1}


def test_a_built_network_knows_its_architecture_and_whole_configuration() -> None:
    net = make_tunable(
        build("edsr", **SMALL), SPACE, "multilinear", rank=2, include=["body.*"], exclude=["*.bias"]
    )
    assert net.spec == NetworkSpec(
        space=SPACE,
        basis="multilinear",
        rank=2,
        include=("body.*",),
        exclude=("*.bias",),
        architecture="edsr",
        config=SMALL,
    )
    assert net.spec.config == get_architecture("edsr").options(**SMALL)
    assert net.spec.contract == get_architecture("edsr").contract(**SMALL)


@pytest.mark.parametrize("options", [{}, {"rank": 1, "train": "deltas"}, {"include": ["intro*"]}])
def test_it_survives_json(options: dict[str, Any]) -> None:
    spec = make_tunable(build("nafnet", "w32", width=2), SPACE, **options).spec
    written = json.loads(json.dumps(spec.to_dict()))
    assert NetworkSpec.from_dict({**written, "steps": 3}) == spec


def test_a_description_of_an_earlier_version_has_fewer_keys() -> None:
    written = {
        "architecture": {"id": "edsr", "config": SMALL},
        "basis": "delta",
        "space": SPACE.to_dict(),
    }
    assert NetworkSpec.from_dict(written) == make_tunable(build("edsr", **SMALL), SPACE).spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": None}, "other types"),
        ({"architecture": {"id": "edsr"}}, "config"),
        ({"basis": "cubic"}, "cubic"),
        ({"basis": "multilinear", "space": ControlSpace.simplex("a", "b").to_dict()}, "multilinear"),
        ({"train": "base"}, "train"),
        ({"rank": 0}, "rank"),
    ],
)
def test_a_description_of_no_network_is_refused(change: dict[str, Any], message: str) -> None:
    written = make_tunable(build("edsr", **SMALL), SPACE).spec.to_dict()
    with pytest.raises(ConversionError, match=message):
        NetworkSpec.from_dict({**written, **change})


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="edsr"):
        NetworkSpec(space=SPACE, architecture="edrs")


def test_copies_keep_it_and_a_folded_network_is_known_again() -> None:
    net = make_tunable(build("edsr", **SMALL), SPACE)
    copies: list[TunableNetwork] = [copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
    assert [each.spec for each in copies] == [net.spec, net.spec]
    again = make_tunable(fold(net, denoise=0.5), SPACE)
    assert again.spec == net.spec
    start = from_specialists(build("edsr", **SMALL), {(1.0, 0.0): fold(net, net.omega())}, SPACE)
    assert start.network.spec.architecture == "edsr"


class Derived(nn.Sequential):
    """A class of a user's own around a registered network."""


@pytest.mark.parametrize(
    "net", [make_tunable(Derived(build("edsr", **SMALL)), 2), TunableConv2d(3, 3, 3, controls=2)]
)
def test_any_other_network_has_a_spec_that_no_file_can_hold(net: TunableNetwork) -> None:
    assert (net.spec.space, net.spec.architecture) == (net.space, "")
    for ask in (net.spec.to_dict, net.spec.build_plain, lambda: net.spec.contract):
        with pytest.raises(ConversionError, match="registered architecture"):
            ask()


def test_patterns_by_type_cannot_be_written() -> None:
    net = make_tunable(build("edsr", **SMALL), SPACE, include=[nn.Conv2d])
    with pytest.raises(ConversionError, match="Conv2d"):
        net.spec.to_dict()
