"""Geometric augmentation: crops, flips and turns."""

from pipelines.data.transforms import Pixels, Seeded, albumentations


class Augment:
    """A random square crop, flipped and turned by multiples of 90 degrees.

    Args:
        patch_px: side of the crop.
    """

    def __init__(self, patch_px: int) -> None:
        made = albumentations()
        self._turned = Seeded([made.RandomCrop(patch_px, patch_px), made.D4(p=1.0)])

    def __call__(self, photo: Pixels, seed: int) -> Pixels:
        """A patch (patch_px, patch_px, 3) of photo (H, W, 3), the same for the same seed."""
        return self._turned(photo, seed)
