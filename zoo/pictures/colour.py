"""Colour spaces: what an embedded ICC profile means, and which outputs may keep it."""

import io

from PIL import Image, ImageCms

CONVERTED_MODES = ("CMYK", "HSV", "LAB", "YCbCr")
"""Modes whose output is RGB, so that the input's profile no longer describes it."""

_PROFILED_MODES = ("CMYK", "L", "LAB", "RGB", "RGBA")


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB of a picture in another colour space: by its profile, or by Pillow's formulas without one."""
    converted = to_srgb(image)
    return converted if converted.mode == "RGB" else converted.convert("RGB")


def to_srgb(image: Image.Image) -> Image.Image:
    """The picture with its ICC profile applied: RGB or RGBA in sRGB.

    A picture without a profile, with one that is damaged or that is meant for another mode, comes back
    as it is: the profile is a hint, and pictures with broken ones are common.
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
    """The picture's profile where it still describes what :mod:`zoo.pictures.planes` makes of it."""
    profile = image.info.get("icc_profile")
    return profile if profile and image.mode not in CONVERTED_MODES else None
