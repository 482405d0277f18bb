"""The candidates: each reads a page as RGB or grey, with alpha or without, at the depth that it keeps."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MOST_PAGES = 8
"""Of a file that are read and compared."""
TURNS: dict[int, Callable[[Array], Array]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, 3),
    7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
    8: np.rot90,
}
"""By the orientation of EXIF."""


@dataclass(frozen=True, eq=False)
class Read:
    """A page as a decoder gives it.

    Attributes:
        pixels: (H, W) or (H, W, C), grey or RGB, with alpha or without.
        pages: how many the decoder finds in the file.
        by: which library did the work, where it is not the decoder itself.
        orientation: of EXIF, where the decoder leaves that to others.
    """

    pixels: Array
    pages: int = 1
    by: str = ""
    orientation: int = 1

    @property
    def bits(self) -> int:
        """Of a channel, by the type of its numbers; 32 for floats of any size."""
        return 32 if self.pixels.dtype.kind == "f" else 8 * self.pixels.dtype.itemsize


Decoder = Callable[[Path, int], Read]


class NotComparableError(Exception):
    """The decoder gives colours that only its caller could convert."""


def by_pillow(path: Path, page: int) -> Read:
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        image.seek(page)
        image.load()
        pages = int(getattr(image, "n_frames", 1))
        turned = ImageOps.exif_transpose(image)
    if turned.mode in ("I", "F") or turned.mode.startswith("I;16"):
        return Read(np.asarray(turned), pages)
    if turned.mode in ("CMYK", "LAB", "YCbCr", "HSV"):
        return Read(np.asarray(_converted(turned)), pages)
    has_alpha = turned.has_transparency_data
    mode = "RGBA" if has_alpha else "L" if turned.mode in ("1", "L") else "RGB"
    return Read(np.asarray(turned.convert(mode)), pages)


def _converted(image: Any) -> Any:
    from PIL import ImageCms

    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        found = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (KeyError, OSError, ImageCms.PyCMSError):
        return image.convert("RGB")
    return found or image.convert("RGB")


def by_pyvips(path: Path, page: int) -> Read:
    import pyvips

    source = pyvips.Source.new_from_file(str(path))  # a path of libvips may have options in brackets
    options = {"page": page} if page else {}
    image = pyvips.Image.new_from_source(source, "", fail_on="error", **options)
    pages = image.get("n-pages") if "n-pages" in image.get_fields() else 1
    image = image.autorot()
    if image.interpretation == "cmyk":
        image = image.extract_band(0, n=4)
        if "icc-profile-data" in image.get_fields():
            image = image.icc_transform("srgb", embedded=True, intent="perceptual", depth=16)
        else:
            inks = image.numpy().astype(np.float32) / (255 if image.format == "uchar" else 65535)
            return Read(np.rint((1 - inks[..., :3]) * (1 - inks[..., 3:]) * 65535).astype(np.uint16), pages)
    elif image.interpretation in ("lab", "labs"):
        image = image.icc_export(output_profile="srgb", depth=16)
    elif image.format in ("complex", "dpcomplex"):
        raise NotComparableError("complex numbers")
    colours = 1 if image.interpretation in ("b-w", "grey16") or image.bands < 3 else 3
    image = image.extract_band(0, n=min(image.bands, colours + image.hasalpha()))
    return Read(image.numpy(), pages)


def by_tifffile(path: Path, page: int) -> Read:
    import tifffile

    with tifffile.TiffFile(path) as file:
        found: Any = file.pages[page]
        pixels = found.asarray()
        pages, photometric, extra = len(file.pages), int(found.photometric), found.extrasamples
        axes, bits, colormap = found.axes, found.bitspersample, getattr(found, "colormap", None)
        orientation = found.tags[274].value if 274 in found.tags else 1
        was_jpeg = int(found.compression) in (6, 7)
    if axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    elif axes not in ("YX", "YXS"):
        raise NotComparableError(f"axes {axes}")
    if photometric == 3 and colormap is not None:
        pixels = np.moveaxis(colormap, 0, -1)[pixels]
    elif photometric not in (0, 1, 2, 5) and not (photometric == 6 and was_jpeg):
        raise NotComparableError(f"photometric interpretation {photometric}")
    elif pixels.dtype.kind in "bu":
        if pixels.dtype == bool or bits not in (8, 16, 32):
            kept = np.uint8 if bits <= 8 else np.uint16
            white = (1 << bits) - 1
            pixels = np.rint(pixels.astype(np.float64) * (np.iinfo(kept).max / white)).astype(kept)
        if photometric == 0:
            pixels = np.iinfo(pixels.dtype).max - pixels
    elif photometric == 0:
        raise NotComparableError(f"negative of {pixels.dtype}")
    if photometric == 5:
        inks = pixels[..., :4].astype(np.float32) / np.iinfo(pixels.dtype).max
        pixels = np.rint((1 - inks[..., :3]) * (1 - inks[..., 3:]) * 65535).astype(np.uint16)
    elif pixels.ndim == 3:
        colours = 3 if photometric in (2, 6) else 1
        has_alpha = len(extra) > 0 and int(extra[0]) in (1, 2)
        pixels = pixels[..., : colours + has_alpha]
        if has_alpha and int(extra[0]) == 1 and pixels.dtype.kind == "u":
            white = np.iinfo(pixels.dtype).max
            colour = pixels[..., :-1].astype(np.float64) * white / np.maximum(pixels[..., -1:], 1)
            pixels = pixels.copy()
            pixels[..., :-1] = np.minimum(np.rint(colour), white)
    return Read(TURNS.get(orientation, TURNS[1])(pixels), pages)


def by_opencv(path: Path, page: int) -> Read:
    import cv2
    from PIL import Image

    frames = _opencv_frames(path)
    found = frames[page] if frames else cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise ValueError("imread returned None")
    order = [0] if found.ndim == 2 else [2, 1, 0, 3][: found.shape[2]]
    orientation = 1
    try:
        with Image.open(path) as image:
            orientation = image.getexif().get(274, 1)
    except Exception:
        pass  # what Pillow does not read is compared as it lies
    return Read(found if found.ndim == 2 else found[..., order], max(1, len(frames)), "", orientation)


def _opencv_frames(path: Path) -> Sequence[Array]:
    """Of an animation, or the pages of a TIFF; none of a file with one picture."""
    import cv2

    head = path.read_bytes()[:4096]
    if head[:4] in (b"II*\0", b"MM\0*") and cv2.imcount(str(path)) > 1:
        return cv2.imreadmulti(str(path), flags=cv2.IMREAD_UNCHANGED)[1]
    if b"acTL" in head or b"ANIM" in head[:64] or b"avis" in head[:64] or head[:4] == b"GIF8":
        done, animation = cv2.imreadanimation(str(path), 0, MOST_PAGES)
        return animation.frames if done and len(animation.frames) > 1 else ()
    return ()


def by_zoo(path: Path, page: int) -> Read:
    from zoo.pictures.deep import open_deep
    from zoo.pictures.images import read_header, read_pages, read_picture

    picture = read_pages(path).pictures[page] if page else read_picture(path)
    by = "Pillow" if open_deep(path) is None else "pyvips"
    return Read(picture.pixels, read_header(path).pages, by)


DECODERS: dict[str, Decoder] = {
    "zoo": by_zoo,
    "Pillow": by_pillow,
    "pyvips": by_pyvips,
    "tifffile": by_tifffile,
    "OpenCV": by_opencv,
}
DISTRIBUTIONS = {
    "Pillow": ("pillow",),
    "pyvips": ("pyvips", "pyvips-binary", "cffi"),
    "tifffile": ("tifffile", "imagecodecs"),
    "OpenCV": ("opencv-python-headless",),
}
"""What each of the candidates installs beside numpy."""


def prepare(name: str) -> Decoder:
    """A decoder whose library is imported, so that the first file is timed as others are."""
    warnings.simplefilter("ignore")
    if name in ("pyvips", "zoo"):
        import pyvips

        pyvips.block_untrusted_set(True)
        pyvips.cache_set_max(0)
    if name == "zoo":
        import logging

        import zoo.pictures.images

        logging.getLogger(zoo.pictures.images.__name__).setLevel(logging.ERROR)
    return DECODERS[name]
