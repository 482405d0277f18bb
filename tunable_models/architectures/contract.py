"""What a network asks of an image, and what it gives back."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ImageContract:
    """How images go through an image-to-image network.

    Attributes:
        channels: of input and output, RGB in [0, 1].
        scale: output side over input side.
        multiple: height and width must be multiples of this many pixels.
        alignment: the grid, in input pixels, on which the features lie: moving the input by a multiple
            of it moves the output and changes nothing else. Tiles start at multiples of it.
        radius_px: an output pixel depends on input pixels at most this far away (in input pixels,
            along either axis), so tiles that start on the grid and overlap by it are exact; None if
            it sees the whole image.

    Example:
        >>> from tunable_models import get_architecture
        >>> get_architecture("drunet").contract(widths=[8, 16, 32], blocks=1)
        ImageContract(channels=3, scale=1, multiple=1, alignment=4, radius_px=25)
    """

    channels: int = 3
    scale: int = 1
    multiple: int = 1
    alignment: int = 1
    radius_px: int | None = None
