"""Small untrained models in a store, for whatever takes published ones."""

from pathlib import Path
from typing import Any

import torch

import zoo
from networks import perturb
from tunable_models import ControlSpace, build, make_tunable

EDSR: dict[str, Any] = {"width": 4, "blocks": 1}
LICENSE = {"weights": "Apache-2.0", "data": "CC0-1.0"}


def publish_small(
    folder: Path,
    space: ControlSpace,
    config: dict[str, Any] | None = None,
    *,
    architecture: str = "edsr",
    rank: int | None = None,
    **manifest: Any,
) -> zoo.Entry:
    """A model whose sliders do something, published into a store in that folder."""
    config = config or EDSR
    torch.manual_seed(0)
    network = make_tunable(build(architecture, **config), space, rank=rank)
    perturb(network, 0.05)
    return zoo.publish(
        network,
        **{"name": "tiny", "task": "denoise", "license": LICENSE, **manifest},
        store=zoo.Store(folder),
    )
