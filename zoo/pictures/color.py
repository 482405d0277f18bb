"""Color spaces: apply embedded ICC profiles, and keep those that still describe the output."""

import io

from PIL import Image, ImageCms

CONVERTED_MODES = ("CMYK", "HSV", "LAB", "YCbCr")
"""Modes whose output is RGB, so that the input's profile no longer describes it."""

_PROFILED_MODES = ("CMYK", "L", "LAB", "RGB", "RGBA")


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a picture to RGB: by its profile, or by Pillow's formulas without one."""
    converted = to_srgb(image)
    return converted if converted.mode == "RGB" else converted.convert("RGB")


def to_srgb(image: Image.Image) -> Image.Image:
    """Apply the ICC profile of a picture: RGB or RGBA in sRGB.

    A picture without a profile, or with one that is damaged or for another mode, is returned
    unchanged: the profile is a hint, and pictures with broken ones are common.
    """
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in _PROFILED_MODES:
        return image
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode=mode)
    except (ImageCms.PyCMSError, OSError):
        return image
    return converted if converted is not None else image


def kept_profile(image: Image.Image) -> bytes | None:
    """The picture's profile, if it still describes the array made by :mod:`zoo.pictures.planes`."""
    profile = image.info.get("icc_profile")
    return profile if profile and image.mode not in CONVERTED_MODES else None
