"""Decode files with Pillow, check the result against the header, and translate errors."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageFile, ImageOps, PngImagePlugin, UnidentifiedImageError

from zoo.errors import ImageError, ImageTooLargeError
from zoo.pictures.picture import Kind

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Recognized by content, never by name. Formats that run programs or hide containers are excluded."""

_STATED = ("BMP", "JPEG", "PNG", "PPM", "TIFF")
"""Formats whose header states the decoded kind; frames of other animations are composed differently."""

_SCALED = ("PNG", "PPM", "TIFF")
"""Formats that may hold more than 8 bits a channel."""


def decode_frame(file: ImageFile.ImageFile) -> Image.Image:
    """Decode the current frame of an open file, upright.

    Raises:
        ImageError: Pillow would read 8 bits of a deeper color, or the result differs from the header.
    """
    raw, kind, size = _raw_mode(file), Kind.of(file), file.size
    if kind.bits == 8 and file.format in _SCALED and re.search(r";(1[0-6]|32|64)", raw):
        raise ImageError(
            f"a {file.format} stored as {raw}, of which 8 bits a channel would be read; convert it to PNG"
        )
    _load_frame(file)
    image = apply_orientation(_rescale_raw(file, raw))
    check_decoded(kind if file.format in _STATED else Kind.of(image), size, Kind.of(image), image.size)
    return image


def seek_frame(file: ImageFile.ImageFile, number: int) -> None:
    """Seek to a frame; in a PNG, earlier frames are decoded, because later ones are drawn over them."""
    for earlier in range(1, number if file.format == "PNG" else 0):
        file.seek(earlier)
        _load_frame(file)
    file.seek(number)


def _load_frame(file: ImageFile.ImageFile) -> None:
    """Decode the current frame, composed over those before it."""
    canvas = getattr(file, "_prev_im", None) if isinstance(file, PngImagePlugin.PngImageFile) else None
    if canvas is None:
        file.load()
        return
    assert isinstance(file, PngImagePlugin.PngImageFile)
    before = canvas.copy()
    if file.mode == "RGBA" and file.blend_op == PngImagePlugin.Blend.OP_OVER:
        file._prev_im = None  # Pillow would blend alpha as it blends colours: less of it than there was
        file.load()
        whole, (left, top, right, bottom) = Image.new("RGBA", file.size), map(int, file.dispose_extent)
        if not (file.default_image and file.tell() == 1):  # which is no frame
            whole.im = before.copy()
        whole.alpha_composite(file.crop((left, top, right, bottom)), (left, top))
        file.im = whole.im
    else:
        file.load()
    file._prev_im = before  # Pillow has drawn the frame into it, and would not get rid of it again


def apply_orientation(image: Image.Image) -> Image.Image:
    """Copy an image with its EXIF orientation applied, or unchanged if the EXIF is unreadable."""
    try:
        image.getexif()
    except Exception:  # a hint that is broken, and Pillow raises almost anything
        return image.copy()
    return ImageOps.exif_transpose(image)


def check_decoded(stated: Kind, sides: tuple[int, int], kind: Kind, size: tuple[int, int]) -> None:
    """Raise ImageError if kind or size differ from the header; width and height may be swapped."""
    if stated != kind or sorted(sides) != sorted(size):
        raise ImageError(
            f"expected {stated} of {sides[0]} x {sides[1]} by its header, got {kind} of "
            f"{size[0]} x {size[1]}; write it again by another program"
        )


def foreign_format_error(name: str, tool: str) -> ImageError:
    """Error for a known format that is not supported; ``tool`` converts it."""
    return ImageError(
        f"expected one of {', '.join(FORMATS)}, got {name}; convert it to PNG, TIFF or JPEG first, by {tool} "
        "for instance"
    )


@contextmanager
def pillow_errors(label: str) -> Iterator[None]:
    """Turn whatever Pillow raises into an ImageError that names the picture."""
    # Broken files make Pillow raise almost anything: OSError, SyntaxError, struct.error, EOFError, ...
    # Its warnings are no filter here, because filters belong to the whole process; where the caller
    # has made them errors they arrive as such.
    try:
        yield
    except ImageTooLargeError:
        raise
    except ImageError as error:
        raise ImageError(f"cannot read {label}: {error}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLargeError(
            f"cannot read {label}: {error}; make the picture smaller, or set PIL.Image.MAX_IMAGE_PIXELS"
        ) from error
    except UnidentifiedImageError as error:  # its own message shows the address of an object
        raise ImageError(f"cannot read {label}: expected one of {', '.join(FORMATS)}, got none") from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ImageError(f"cannot read {label}: {reason}; expected one of {', '.join(FORMATS)}") from error


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Raw mode of the pixels in the file, such as RGB;16B; known until they are decoded."""
    if not image.tile or not image.tile[0].args:
        return ""
    tile = image.tile[0]
    args = tile.args if isinstance(tile.args, tuple) else (tile.args,)
    white = args[1] if tile.codec_name.startswith("ppm") else 255
    return f"{args[0]};16" if white > 255 else str(args[0])


def _rescale_raw(image: Image.Image, raw: str) -> Image.Image:
    """Rescale what Pillow leaves in the units of the file."""
    if raw == "I;12":
        return Image.fromarray(np.rint(np.asarray(image) * (65535 / 4095)).astype(np.uint16))
    transparent = image.info.get("transparency")
    if raw in ("L;2", "L;4") and isinstance(transparent, int):
        image.info["transparency"] = transparent * 255 // (2 ** int(raw[2]) - 1)
    return image
