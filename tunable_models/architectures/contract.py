"""What a network asks of an image, what it gives back, and how far its output pixels see.

To count that along one axis, a network is a list of steps from its output back to its input. Each widens
the interval of pixels that an output pixel depends on; which way, and how much, depends on where on the
network's grid that pixel is.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ImageContract:
    """How images go through an image-to-image network.

    Attributes:
        channels: of input and output, RGB in [0, 1].
        scale: output side over input side.
        multiple: height and width must be multiples of this many pixels.
        alignment: the grid, in input pixels, of the features: moving the input by a multiple
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


Step = Callable[[int, int], tuple[int, int]]
"""From the first and last pixel that a layer's output needs to those that its input must have."""


def count_radius(steps: Iterable[Step], period: int) -> int:
    """The farthest input pixel that any output pixel depends on, in pixels.

    Args:
        steps: from the output to the input, all at one resolution at both ends.
        period: of the grid; pixels a multiple of it apart have the same field of view.

    Example:
        >>> count_radius([convolution_step(1), windows_step(8), convolution_step(1)], 8)
        9
    """
    steps = list(steps)
    return max(_farthest_input(steps, pixel) for pixel in range(period))


def _farthest_input(steps: list[Step], pixel: int) -> int:
    first = last = pixel
    for step in steps:
        first, last = step(first, last)
    return max(pixel - first, last - pixel)


def convolution_step(reach: int) -> Step:
    """Of stride 1, ``reach`` pixels to each side.

    Example:
        >>> convolution_step(1)(3, 5)
        (2, 6)
    """
    return lambda first, last: (first - reach, last + reach)


def windows_step(size: int, shift: int = 0) -> Step:
    """Every pixel sees all of its window; windows start at multiples of size, plus shift.

    Example:
        >>> windows_step(8, shift=4)(3, 5)
        (-4, 11)
    """
    return lambda first, last: (
        (first - shift) // size * size + shift,
        (last - shift) // size * size + shift + size - 1,
    )


def halving_step(first: int, last: int) -> tuple[int, int]:
    """A layer that makes one pixel from two.

    Example:
        >>> halving_step(1, 2)
        (2, 5)
    """
    return 2 * first, 2 * last + 1


def doubling_step(first: int, last: int) -> tuple[int, int]:
    """A layer that makes two pixels from one.

    Example:
        >>> doubling_step(1, 4)
        (0, 2)
    """
    return first // 2, last // 2
