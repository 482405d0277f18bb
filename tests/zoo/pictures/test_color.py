import numpy as np
import pytest
from PIL import Image, ImageCms

from zoo.pictures.color import kept_profile, to_rgb, to_srgb

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def picture(mode: str, colour: object, profile: bytes | None = None) -> Image.Image:
    image = Image.new(mode, (3, 2), colour)  # type: ignore[arg-type]
    if profile:
        image.info["icc_profile"] = profile
    return image


def test_srgb_to_srgb_changes_nothing_much() -> None:
    image = picture("RGB", (200, 100, 50), SRGB)
    difference = np.abs(np.asarray(to_srgb(image), int) - np.asarray(image, int))
    assert difference.max() <= 1


def test_alpha_passes_a_profile_unchanged() -> None:
    converted = to_srgb(picture("RGBA", (200, 100, 50, 77), SRGB))
    assert converted.mode == "RGBA"
    assert converted.getpixel((0, 0))[3] == 77  # type: ignore[index]


# Named, because a profile holds the time it was made at, and the name of a test may not change.
@pytest.mark.parametrize(
    "profile",
    [None, b"", b"no profile at all", SRGB[:100]],
    ids=["none", "empty", "text", "cut short"],
)
def test_without_a_usable_profile_the_picture_is_as_it_was(profile: bytes | None) -> None:
    image = picture("RGB", (200, 100, 50), profile)
    assert to_srgb(image) is image


def test_a_profile_of_another_mode_is_ignored() -> None:
    image = picture("CMYK", (0, 0, 0, 0), SRGB)
    assert to_srgb(image) is image
    assert to_rgb(image).getpixel((0, 0)) == (255, 255, 255)


def test_a_profile_is_kept_where_it_is_still_right() -> None:
    assert kept_profile(picture("P", 0, SRGB)) == SRGB
    assert kept_profile(picture("CMYK", 0, SRGB)) is None
    assert kept_profile(picture("RGB", 0)) is None
