"""Albumentations, and seeded use of it: the only module that imports it.

Its last MIT release: https://github.com/albumentations-team/albumentations.
"""

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


class Seeded:
    """A chain of transforms whose draws depend on a seed alone.

    Args:
        transforms: made with :func:`albumentations`.
    """

    def __init__(self, transforms: Sequence[Any]) -> None:
        self._chain = albumentations().Compose(list(transforms))

    def __call__(self, image: Pixels, seed: int) -> Pixels:
        """The image (H, W, 3) transformed, the same for the same seed."""
        self._chain.set_random_seed(seed % 2**32)
        transformed: Pixels = self._chain(image=image)["image"]
        return transformed


@cache
def albumentations() -> Any:
    """The library; imported when something is made of it."""
    # Its import asks the network for a newer version unless told not to.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    return albumentations
