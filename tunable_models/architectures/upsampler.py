"""Sub-pixel convolutions: the enlarging end of super-resolution networks.

Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
Neural Network", CVPR 2016, https://arxiv.org/abs/1609.05158.
"""

from torch import nn

_FACTORS = {1: (), 2: (2,), 3: (3,), 4: (2, 2)}


def make_upsampler(width: int, scale: int) -> nn.Sequential:
    """Convolutions and pixel shuffles, (B, width, H, W) to (B, width, scale*H, scale*W).

    Args:
        width: channels.
        scale: 1 (nothing) to 4 (twice a doubling).

    Example:
        >>> make_upsampler(8, 3)(torch.rand(1, 8, 5, 4)).shape
        torch.Size([1, 8, 15, 12])
    """
    layers: list[nn.Module] = []
    for factor in _FACTORS[scale]:
        layers += [nn.Conv2d(width, width * factor**2, 3, padding=1), nn.PixelShuffle(factor)]
    return nn.Sequential(*layers)
