"""Albumentations, and seeded use of it: the only module that imports it.

Its last MIT release: https://github.com/albumentations-team/albumentations.
"""

import os
import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


class Seeded:
    """A chain of transforms whose draws depend on a seed alone, which is not negative.

    Args:
        transforms: made with :func:`albumentations`.
    """

    def __init__(self, transforms: Sequence[Any]) -> None:
        # Whether the shapes of an image, its masks and volumes agree is no question with an image alone.
        self._chain = albumentations().Compose(list(transforms), is_check_shapes=False)

    def __call__(self, image: Pixels, seed: int) -> Pixels:
        """The image (H, W, 3) transformed, the same for the same seed."""
        # The chain shares two generators: seeding each of its transforms took half of the time of a patch.
        self._chain.set_random_state(np.random.default_rng(seed), random.Random(seed))
        transformed: Pixels = self._chain(image=image)["image"]
        return transformed


@cache
def albumentations() -> Any:
    """The library; imported when something is made of it."""
    # Its import asks the network for a newer version unless told not to.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    return albumentations
