"""Y of an RGB picture, the channel that super-resolution papers measure on.

ITU-R BT.601, https://www.itu.int/rec/R-REC-BT.601, in studio range as MATLAB's rgb2ycbcr.
"""

import torch
from torch import Tensor

from tunable_models.errors import TunableError


def luma(image: Tensor, *, data_range: float = 1.0) -> Tensor:
    """Y = 16 + 65.481 R + 128.553 G + 24.966 B of RGB in 0..1, on the scale where white is 235 of 255.

    Not rounded; scaled back to the range of the image, so black is 16/255 and white 235/255 of it.

    Args:
        image: (B, 3, H, W), RGB from 0 to ``data_range``.
        data_range: value of white.

    Returns:
        (B, 1, H, W).

    Raises:
        TunableError: the image has other than three channels.

    Example:
        >>> from tunable_models.metrics import luma
        >>> luma(torch.ones(1, 3, 1, 1)).mul(255).item()
        235.0
    """
    if image.dim() != 4 or image.shape[1] != 3:
        raise TunableError(f"luma needs RGB images (B, 3, H, W), got {tuple(image.shape)}")
    share = torch.tensor([65.481, 128.553, 24.966], dtype=image.dtype, device=image.device) / 255
    # Element by element: a matrix product may run in lower precision on a GPU.
    return (image * share.view(3, 1, 1)).sum(1, keepdim=True) + 16 / 255 * data_range
