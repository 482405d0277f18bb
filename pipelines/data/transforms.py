"""Seeded image transforms: augmentation, camera noise and JPEG compression.

The only module that imports Albumentations. Its last MIT release: https://github.com/albumentations-team/albumentations.
"""

import os
import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

GAMMA = 2.2
MID_GRAY = 0.5


class Seeded:
    """A chain of transforms whose random draws depend on a seed alone.

    Args:
        transforms: made with :func:`import_albumentations`.
    """

    def __init__(self, transforms: Sequence[Any]) -> None:
        # That check compares an image with its masks and volumes; here is an image alone.
        self._chain = import_albumentations().Compose(list(transforms), is_check_shapes=False)

    def __call__(self, image: Pixels, seed: int) -> Pixels:
        """Transform an image (H, W, 3); the same non-negative seed gives the same result."""
        # The chain shares two generators: seeding each of its transforms took half of the time of a patch.
        self._chain.set_random_state(np.random.default_rng(seed), random.Random(seed))
        transformed: Pixels = self._chain(image=image)["image"]
        return transformed


class Augment:
    """Random square crops, flipped and rotated by multiples of 90 degrees.

    Args:
        patch_px: side of the crop.
    """

    def __init__(self, patch_px: int) -> None:
        library = import_albumentations()
        self._transform = Seeded([library.RandomCrop(patch_px, patch_px), library.D4(p=1.0)])

    def __call__(self, photo: Pixels, seed: int) -> Pixels:
        """Cut a patch (patch_px, patch_px, 3) from a photo (H, W, 3); the same seed gives the same patch."""
        return self._transform(photo, seed)


def add_sensor_noise(picture: Pixels, sigma: float, seed: int) -> Pixels:
    """Add camera noise with a standard deviation of sigma / 255 at mid gray to 8-bit pixels (H, W, 3).

    Two sources of equal variance at mid gray: photons, whose count is a Poisson variable of linear light, and
    reading, which is Gaussian (Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for
    single-image raw-data", IEEE TIP 2008, https://doi.org/10.1109/TIP.2008.2001399).
    """
    if sigma == 0:
        return picture
    library = import_albumentations()
    share = sigma / 255 / 2**0.5
    photons = _photon_scale(share)
    shot = library.ShotNoise(scale_range=(photons, photons), p=1.0)
    reading = library.GaussNoise(std_range=(share, share), per_channel=True, p=1.0)
    return Seeded([shot, reading])(picture, seed)


def compress_jpeg(picture: Pixels, quality: int) -> Pixels:
    """Compress 8-bit pixels (H, W, 3) with JPEG at a quality of 1 to 100, and decode them."""
    compression = import_albumentations().ImageCompression(
        compression_type="jpeg", quality_range=(quality, quality), p=1.0
    )
    return Seeded([compression])(picture, seed=0)


@cache
def import_albumentations() -> Any:
    """Import the library, on first use."""
    # Its import asks the network for a newer version unless told not to.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    return albumentations


def _photon_scale(std: float) -> float:
    """The light of one photon for which mid gray has that standard deviation after gamma."""
    light: float = MID_GRAY**GAMMA
    slope = MID_GRAY / (GAMMA * light)
    return (std / slope) ** 2 / light
