"""Reading pictures that nobody vouched for."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from zoo.colour import to_srgb
from zoo.errors import ImageError, ImageTooLargeError
from zoo.planes import Planes, to_array

DEFAULT_MAX_PIXELS = 64_000_000
"""The largest full-frame cameras; below the size from which Pillow itself warns."""

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Found by content, never by name. Formats that run programs or hide containers are not among them."""


def read_image(
    source: str | Path | bytes | IO[bytes], *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Image.Image:
    """The first frame of a picture, whole and upright, in Pillow's mode for it.

    Args:
        source: a path, the file's bytes, or a binary file, which stays open.
        max_pixels: larger pictures are refused from their header, before anything is decoded.

    Returns:
        An image in memory; its EXIF orientation is applied and gone, its ICC profile is in ``info``.

    Raises:
        ImageTooLargeError: more pixels than allowed.
        ImageError: no such file, no picture of ``FORMATS``, damaged or cut short.

    Example:
        >>> from PIL import Image
        >>> Image.new("RGB", (48, 32)).save("photo.png")
        >>> read_image("photo.png").size
        (48, 32)
    """
    stream = BytesIO(source) if isinstance(source, bytes) else source
    with pillow_errors(_label(source)), Image.open(stream, formats=FORMATS) as image:
        _check_pixels(image, max_pixels)
        image.load()
        return ImageOps.exif_transpose(image)


def upright(image: Image.Image) -> Image.Image:
    """A decoded image: one that Pillow opened turned as its EXIF says, any other as it is.

    What Pillow makes of an opened image, by rotating or converting it, keeps the EXIF of the file, so the tag
    there says nothing about how it was turned since.

    Raises:
        ImageError: the picture, opened before, turns out to be damaged.
    """
    with pillow_errors("the image"):
        image.load()
        return ImageOps.exif_transpose(image) if isinstance(image, ImageFile.ImageFile) else image


def rgb_array(image: Image.Image) -> NDArray[np.uint8]:
    """A picture as plain sRGB, for training data: (H, W, 3) uint8.

    The embedded ICC profile is applied, alpha is composited on white, grey is replicated.

    Raises:
        ImageError: a mode that :mod:`zoo.planes` has no rule for.
    """
    return Planes.of(to_array(to_srgb(image))).over_white()


def _check_pixels(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"expected at most {max_pixels:,} pixels, got {width} x {height} = {width * height:,}; "
            "make the picture smaller or raise max_pixels"
        )


@contextmanager
def pillow_errors(label: str) -> Iterator[None]:
    """Whatever Pillow raises about a picture as an ImageError that names it."""
    # Broken files make Pillow raise almost anything: OSError, SyntaxError, struct.error, EOFError, ...
    # Its warnings are no filter here, because filters belong to the whole process; where the caller
    # has made them errors they arrive as such.
    try:
        yield
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLargeError(
            f"cannot read {label}: {error}; make the picture smaller, or set PIL.Image.MAX_IMAGE_PIXELS"
        ) from error
    except UnidentifiedImageError as error:  # its own message shows the address of an object
        raise ImageError(f"cannot read {label}: expected one of {', '.join(FORMATS)}, got none") from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ImageError(f"cannot read {label}: {reason}; expected one of {', '.join(FORMATS)}") from error


def _label(source: object) -> str:
    return str(source) if isinstance(source, str | Path) else "the image"
