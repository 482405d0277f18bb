"""What a network asks of an image, and what it gives back."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ImageContract:
    """How images go through an image-to-image network.

    Attributes:
        channels: of input and output, RGB in [0, 1].
        scale: output side over input side.
        multiple: height and width must be multiples of this many pixels.
        radius_px: an output pixel depends on input pixels at most this far away (in input pixels,
            along either axis), so tiles that overlap by it are exact; None if it sees the whole image.
    """

    channels: int = 3
    scale: int = 1
    multiple: int = 1
    radius_px: int | None = None
