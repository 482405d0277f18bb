import pytest
import torch
from torch import Tensor

from tunable_models.architectures.window_attention import AttentionBlock, window_kinds


def attention(block: AttentionBlock, x: Tensor) -> Tensor:
    """Attention among the pixels of one rectangle (h, w, C), its borders being those of the image."""
    height, width, channels = x.shape
    pixels = [(row, column) for row in range(height) for column in range(width)]
    projected = block.attn.qkv(x.reshape(-1, channels))
    each = channels // block.attn.heads
    outputs = []
    for head in range(block.attn.heads):
        query, key, value = (
            part[:, head * each : (head + 1) * each] for part in projected.split(channels, 1)
        )
        scores = query @ key.T / each**0.5
        window = block.window
        bias = [
            [(a[0] - b[0] + window - 1) * (2 * window - 1) + a[1] - b[1] + window - 1 for b in pixels]
            for a in pixels
        ]
        scores = scores + block.attn.relative_position_bias_table[torch.tensor(bias), head]
        outputs.append(scores.softmax(-1) @ value)
    mixed: Tensor = block.attn.proj(torch.cat(outputs, 1))
    return mixed.reshape(height, width, channels)


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("size", [(4, 4), (4, 12), (12, 8)])
def test_a_block_attends_within_windows_and_never_across_the_border(
    shift: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    block = AttentionBlock(6, heads=3, window=4, shift=shift, mlp_ratio=2.0).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.rand(2, *size, 6, dtype=torch.float64)
    expected = x.clone()
    cuts = [[0, *range(shift or 4, side, 4), side] for side in size]
    block.requires_grad_(False)
    for top, bottom in zip(cuts[0], cuts[0][1:], strict=False):
        for left, right in zip(cuts[1], cuts[1][1:], strict=False):
            for picture, result in zip(block.norm1(x), expected, strict=True):
                result[top:bottom, left:right] += attention(block, picture[top:bottom, left:right])
    expected = expected + block.mlp(block.norm2(expected))
    torch.testing.assert_close(block(x, window_kinds(x, 4)), expected)


def test_every_kind_of_window_is_told_apart() -> None:
    kinds = window_kinds(torch.rand(1, 12, 8, 1), 4)
    assert kinds.reshape(3, 2).tolist() == [[0, 1], [0, 1], [2, 3]]
    assert window_kinds(torch.rand(1, 4, 4, 1), 4).tolist() == [3]
