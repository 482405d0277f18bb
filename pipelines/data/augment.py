"""Geometric augmentation: the only module that imports albumentations.

Degradations define the task and are ours; cropping, flips and turns are albumentations' (its last MIT
release, https://github.com/albumentations-team/albumentations).
"""

import os
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Augment:
    """A random square crop, flipped and turned by multiples of 90 degrees.

    Args:
        patch_px: side of the crop.
    """

    def __init__(self, patch_px: int) -> None:
        albumentations = _albumentations()
        self._compose = albumentations.Compose(
            [albumentations.RandomCrop(patch_px, patch_px), albumentations.D4(p=1.0)]
        )

    def __call__(self, photo: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        """A patch (patch_px, patch_px, 3) of photo (H, W, 3), the same for the same seed."""
        self._compose.set_random_seed(seed % 2**32)
        patch: NDArray[np.uint8] = self._compose(image=photo)["image"]
        return patch


@cache
def _albumentations() -> Any:
    # Its import asks the network for a newer version unless told not to.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    return albumentations
