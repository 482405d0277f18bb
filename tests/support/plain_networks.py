"""Small plain networks of every architecture, how far they see, and weights in an original's keys."""

from typing import Any

import torch
from torch import Tensor, nn

from tunable_models import build, get_architecture

Shapes = dict[str, tuple[int, ...]]

SMALL: dict[str, list[dict[str, Any]]] = {
    "drunet": [
        {"widths": [2, 3], "blocks": 1, "noise_map": 25.0, "residual": False},
        {"widths": [2, 3, 4, 5], "blocks": 1, "bias": True},
        {"widths": [2, 3, 4], "blocks": 2, "unshuffle": 2, "noise_map": 0},
    ],
    "edsr": [{"width": 4, "blocks": 1, "scale": scale} for scale in (1, 2, 3, 4)],
    "nafnet": [
        {"width": 2, "enc_blocks": [1, 1], "middle_blocks": 1, "dec_blocks": [1, 1]},
        {"width": 2, "enc_blocks": [1, 0, 1, 1], "middle_blocks": 1, "dec_blocks": [0, 1, 1, 1]},
    ],
    "stylenet": [{"width": 2, "blocks": 1}, {"width": 2, "blocks": 1, "depth": 2}],
    "swinir": [
        {"width": 6, "depths": [2], "heads": [2], "window": 8},
        {"width": 6, "depths": [1, 2], "heads": [3, 2], "window": 7, "img_range": 255},
        {"width": 6, "depths": [2], "heads": [2], "window": 4, "scale": 3},
        {
            "width": 6,
            "depths": [2],
            "heads": [2],
            "window": 4,
            "scale": 4,
            "upsampler": "pixelshuffledirect",
        },
    ],
}
"""One configuration for every way through each network."""


def lively(name: str, **config: Any) -> nn.Module:
    """A network in double precision none of whose layers is at zero or the identity."""
    torch.manual_seed(0)
    network = build(name, **config).double().eval()
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.1, 0.3)
    return network


def reach_of(name: str, config: dict[str, Any]) -> int:
    """How far, in input pixels, the gradients of the pixels of one cell of the grid are not zero."""
    network, contract = lively(name, **config), get_architecture(name).contract(**config)
    assert contract.radius_px is not None
    margin = -(-contract.radius_px // contract.alignment) * contract.alignment + contract.alignment
    x = torch.rand(1, 3, *(2 * margin + contract.alignment,) * 2, dtype=torch.float64, requires_grad=True)
    output, farthest = network(x), 0
    for pixel in range(margin, margin + contract.alignment):
        place = slice(pixel * contract.scale, (pixel + 1) * contract.scale)
        (gradient,) = torch.autograd.grad(output[..., place, place].sum(), x, retain_graph=True)
        rows = gradient.abs().sum((0, 1, 3)).nonzero().flatten()
        farthest = max(farthest, pixel - int(rows.min()), int(rows.max()) - pixel)
    return farthest


def load(network: nn.Module, shapes: Shapes, **given: Tensor) -> dict[str, Tensor]:
    """Load generated weights of these keys and shapes, and see that they arrived; returns them."""
    generator = torch.Generator().manual_seed(0)
    state = {name: 0.2 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    state |= given
    assert network.load_state_dict(state, strict=True) is not None
    own = network.state_dict()
    for name, tensor in state.items():
        if not name.endswith("attn_mask"):
            assert torch.equal(own[name], tensor), name
    assert {name for name in own if not name.endswith("attn_mask")} <= state.keys()
    return state
