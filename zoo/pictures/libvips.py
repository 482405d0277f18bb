"""libvips, as this package uses it: deep pictures written, colours converted, errors named."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyvips

from zoo.errors import ImageError
from zoo.pictures.picture import FLOAT, Picture
from zoo.pictures.planes import Array

logging.getLogger("pyvips").addHandler(logging.NullHandler())  # what matters is raised as well
pyvips.block_untrusted_set(True)  # loaders that were never tested with hostile files
pyvips.cache_set_max(0)  # it would answer for a path with what the file held before

_process: list[int] = []
"""Which process libvips has its threads in: a fork of it waits for them for ever."""


def encode(picture: Picture, name: str, level: int = 6) -> bytes:
    """A deep picture as a file.

    Args:
        picture: of 16 bits, or for TIFF of floats.
        name: PNG or TIFF.
        level: of compression, from 1 to 9.
    """
    kind = picture.kind
    grey = kind.channels < 3
    space = ("b-w" if grey else "scrgb") if kind.bits == FLOAT else "grey16" if grey else "rgb16"
    image = _image(picture).copy(interpretation=space)
    if picture.profile:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", picture.profile)
    with vips_errors(f"{kind} as {name}"):
        if name == "PNG":
            return bytes(image.pngsave_buffer(bitdepth=16, compression=level, filter="paeth", keep="icc"))
        predictor = "none" if kind.bits == FLOAT else "horizontal"
        return bytes(
            image.tiffsave_buffer(compression="deflate", level=level, predictor=predictor, keep="icc")
        )


def srgb_of(picture: Picture) -> Array:
    """The pixels in sRGB, 16 bits; as they are without a profile that can be used."""
    if not picture.profile:
        return picture.pixels
    image = _image(picture)
    if picture.kind.bits == FLOAT:
        image = image.linear(65535, 0).rint().cast("ushort")
    image = image.copy(interpretation="grey16" if picture.kind.channels < 3 else "rgb16")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", picture.profile)
    try:
        return np.asarray(image.icc_transform("srgb", embedded=True, depth=16, intent="perceptual").numpy())
    except pyvips.Error:
        return picture.pixels


def rgb_of_cmyk(image: Any) -> Array:
    """By its profile; without one by the formula that Pillow has for 8 bits."""
    if field(image, "icc-profile-data"):
        try:
            return np.asarray(
                image.icc_transform("srgb", embedded=True, depth=16, intent="perceptual").numpy()
            )
        except pyvips.Error:
            pass  # a hint that is broken
    inks = image.numpy().astype(np.float32) / 65535
    rgb: Array = np.rint((1 - inks[..., :3]) * (1 - inks[..., 3:]) * 65535).astype(np.uint16)
    return rgb


def field(image: Any, name: str) -> Any:
    """What a file says by that name; None where it says nothing."""
    return image.get(name) if name in image.get_fields() else None


@contextmanager
def vips_errors(label: str) -> Iterator[None]:
    """Whatever libvips raises as an ImageError that names what it was about, and forks that it hangs in."""
    if not _process:
        _process.append(os.getpid())
    if _process != [os.getpid()]:
        raise ImageError(
            f"{label}: more than 8 bits cannot be read or written in a fork of a process that did; "
            "start workers by spawn or forkserver"
        )
    pyvips.vips_lib.vips_error_clear()  # libvips notes there what it gets over, too
    try:
        yield
    except pyvips.Error as error:
        reason = " ".join((error.detail or error.message).split())
        raise ImageError(f"{label}: {reason or 'damaged'}") from error


def _image(picture: Picture) -> Any:
    # libvips has no floats of 16 bits, and writes those of 64, which read_picture refuses.
    dtype = np.float32 if picture.kind.bits == FLOAT else picture.pixels.dtype
    return pyvips.Image.new_from_array(np.ascontiguousarray(picture.pixels, dtype))
