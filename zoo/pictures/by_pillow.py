"""Files that Pillow decodes: what they state against what comes out, and what goes wrong."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageFile, ImageOps, PngImagePlugin, UnidentifiedImageError

from zoo.errors import ImageError, ImageTooLargeError
from zoo.pictures.picture import Kind

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Found by content, never by name. Formats that run programs or hide containers are not among them."""

_STATED = ("BMP", "JPEG", "PNG", "PPM", "TIFF")
"""Of others, frames of an animation are not stated as they are composed."""

_SCALED = ("PNG", "PPM", "TIFF")
"""May hold more than 8 bits a channel."""


def decode(file: ImageFile.ImageFile) -> Image.Image:
    """The picture or the frame that an open file stands at, upright.

    Raises:
        ImageError: of a colour of more than 8 bits Pillow would read 8, or something else than it states.
    """
    raw, kind, size = _raw_mode(file), Kind.of(file), file.size
    if kind.bits == 8 and file.format in _SCALED and re.search(r";(1[0-6]|32|64)", raw):
        raise ImageError(
            f"a {file.format} stored as {raw}, of which 8 bits a channel would be read; convert it to PNG"
        )
    _load(file)
    image = turned(_scaled(file, raw))
    check_decoded(kind if file.format in _STATED else Kind.of(image), size, Kind.of(image), image.size)
    return image


def seek(file: ImageFile.ImageFile, number: int) -> None:
    """Stand at a frame; of a PNG, those before it are decoded, because it lies over them."""
    for earlier in range(1, number if file.format == "PNG" else 0):
        file.seek(earlier)
        _load(file)
    file.seek(number)


def _load(file: ImageFile.ImageFile) -> None:
    """Decode the frame that a file stands at, over those before it."""
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


def turned(image: Image.Image) -> Image.Image:
    """A copy turned as its EXIF says; as it is where that cannot be read."""
    try:
        image.getexif()
    except Exception:  # a hint that is broken, and Pillow raises almost anything
        return image.copy()
    return ImageOps.exif_transpose(image)


def check_decoded(stated: Kind, sides: tuple[int, int], kind: Kind, size: tuple[int, int]) -> None:
    """Refuse a picture that is not what its header says, and was planned for; turned by 90 degrees it is."""
    if stated != kind or sorted(sides) != sorted(size):
        raise ImageError(
            f"expected {stated} of {sides[0]} x {sides[1]} by its header, got {kind} of "
            f"{size[0]} x {size[1]}; write it again by another program"
        )


def foreign(name: str, tool: str) -> ImageError:
    """The error of a format that is known and not read."""
    return ImageError(
        f"expected one of {', '.join(FORMATS)}, got {name}; convert it to PNG, TIFF or JPEG first, by {tool} "
        "for instance"
    )


@contextmanager
def pillow_errors(label: str) -> Iterator[None]:
    """Whatever Pillow raises about a picture as an ImageError that names it."""
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
    """How the pixels stand in the file, such as RGB;16B; it is known until they are decoded."""
    if not image.tile or not image.tile[0].args:
        return ""
    tile = image.tile[0]
    args = tile.args if isinstance(tile.args, tuple) else (tile.args,)
    white = args[1] if tile.codec_name.startswith("ppm") else 255
    return f"{args[0]};16" if white > 255 else str(args[0])


def _scaled(image: Image.Image, raw: str) -> Image.Image:
    """The image with what Pillow leaves in the units of the file brought to those of its pixels."""
    if raw == "I;12":
        return Image.fromarray(np.rint(np.asarray(image) * (65535 / 4095)).astype(np.uint16))
    transparent = image.info.get("transparency")
    if raw in ("L;2", "L;4") and isinstance(transparent, int):
        image.info["transparency"] = transparent * 255 // (2 ** int(raw[2]) - 1)
    return image
