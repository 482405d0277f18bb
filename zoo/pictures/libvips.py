"""Write deep pictures and convert their colors with libvips."""

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
"""The process that libvips started its threads in: a fork of it would wait for them forever."""


def encode_deep(picture: Picture, name: str, level: int = 6) -> bytes:
    """Encode a deep picture as a file.

    Args:
        picture: of 16 bits, or for TIFF of floats.
        name: PNG or TIFF.
        level: of compression, from 1 to 9.
    """
    kind = picture.kind
    grey = kind.channels < 3
    space = ("b-w" if grey else "scrgb") if kind.bits == FLOAT else "grey16" if grey else "rgb16"
    image = _to_vips(picture).copy(interpretation=space)
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
    """Convert pixels to 16-bit sRGB; unchanged without a usable profile."""
    if not picture.profile:
        return picture.pixels
    image = _to_vips(picture)
    if picture.kind.bits == FLOAT:
        image = image.linear(65535, 0).rint().cast("ushort")
    image = image.copy(interpretation="grey16" if picture.kind.channels < 3 else "rgb16")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", picture.profile)
    try:
        return np.asarray(image.icc_transform("srgb", embedded=True, depth=16, intent="perceptual").numpy())
    except pyvips.Error:
        return picture.pixels


def rgb_of_cmyk(image: Any) -> Array:
    """Convert CMYK to RGB by its profile, or without one by the formula that Pillow uses for 8 bits."""
    if get_field(image, "icc-profile-data"):
        try:
            return np.asarray(
                image.icc_transform("srgb", embedded=True, depth=16, intent="perceptual").numpy()
            )
        except pyvips.Error:
            pass  # a hint that is broken
    inks = image.numpy().astype(np.float32) / 65535
    rgb: Array = np.rint((1 - inks[..., :3]) * (1 - inks[..., 3:]) * 65535).astype(np.uint16)
    return rgb


def get_field(image: Any, name: str) -> Any:
    """A metadata field of an image; None if it is absent."""
    return image.get(name) if name in image.get_fields() else None


@contextmanager
def vips_errors(label: str) -> Iterator[None]:
    """Turn libvips errors into an ImageError with a label, and refuse forks, where libvips hangs."""
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


def _to_vips(picture: Picture) -> Any:
    # libvips has no floats of 16 bits, and writes those of 64, which read_picture refuses.
    dtype = np.float32 if picture.kind.bits == FLOAT else picture.pixels.dtype
    return pyvips.Image.new_from_array(np.ascontiguousarray(picture.pixels, dtype))
