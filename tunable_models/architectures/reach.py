"""How far an output pixel of a network with a grid sees, counted along one axis.

A network is a list of steps from its output back to its input. Each widens the interval of pixels that
an output pixel depends on; which way, and how much, depends on where on the grid that pixel lies.
"""

from collections.abc import Callable, Iterable

Step = Callable[[int, int], tuple[int, int]]
"""From the first and last pixel that a layer's output needs to those that its input must have."""


def radius(steps: Iterable[Step], period: int) -> int:
    """The farthest input pixel that any output pixel depends on, in pixels.

    Args:
        steps: from the output to the input, all at one resolution at both ends.
        period: of the grid; pixels that lie a multiple of it apart see alike.

    Example:
        >>> radius([convolution(1), windows(8), convolution(1)], 8)
        9
    """
    steps = list(steps)
    return max(_farthest(steps, pixel) for pixel in range(period))


def _farthest(steps: list[Step], pixel: int) -> int:
    first = last = pixel
    for step in steps:
        first, last = step(first, last)
    return max(pixel - first, last - pixel)


def convolution(reach: int) -> Step:
    """Of stride 1, ``reach`` pixels to each side.

    Example:
        >>> convolution(1)(3, 5)
        (2, 6)
    """
    return lambda first, last: (first - reach, last + reach)


def windows(size: int, shift: int = 0) -> Step:
    """Every pixel sees all of its window; windows start at multiples of size, plus shift.

    Example:
        >>> windows(8, shift=4)(3, 5)
        (-4, 11)
    """
    return lambda first, last: (
        (first - shift) // size * size + shift,
        (last - shift) // size * size + shift + size - 1,
    )


def halving(first: int, last: int) -> tuple[int, int]:
    """A layer that makes one pixel from two.

    Example:
        >>> halving(1, 2)
        (2, 5)
    """
    return 2 * first, 2 * last + 1


def doubling(first: int, last: int) -> tuple[int, int]:
    """A layer that makes two pixels from one.

    Example:
        >>> doubling(1, 4)
        (0, 2)
    """
    return first // 2, last // 2
