"""Finding photographs: in a folder and its sub-folders, or in the scikit-image package."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.data.bundled import bundled
from pipelines.errors import DataError
from zoo.images import read_image, rgb_array

SKIMAGE = "skimage"
"""The source that stands for the photographs inside the scikit-image package."""

SUFFIXES = frozenset({".avif", ".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""File names that promise a photograph; other files are counted and passed over."""

_MIDDLEBURY = "Middlebury 2014 stereo data, use and publication granted, please cite Scharstein et al. 2014"

SKIMAGE_PHOTOS = {
    "astronaut.png": "public domain (NASA)",
    "chelsea.png": "CC0 (Stefan van der Walt)",
    "coffee.png": "CC0 (Rachel Michetti)",
    "motorcycle_left.png": _MIDDLEBURY,
    "motorcycle_right.png": _MIDDLEBURY,
    "rocket.jpg": "public domain (SpaceX)",
}
"""The natural colour photographs that every scikit-image installation holds, and their terms as their
sources state them. Its logos, textures, grey, medical and astronomical pictures are no use here."""


@dataclass(frozen=True)
class PhotoFile:
    """A file that should hold a photograph, and its name below the source (``a/b.jpg``)."""

    name: str
    path: Path


@dataclass(frozen=True)
class Listing:
    """The files of a source in the order of their names; ``ignored`` counts the other files."""

    files: tuple[PhotoFile, ...]
    ignored: int = 0


def list_photos(source: str, root: Path) -> Listing:
    """The photographs of a source; nothing is decoded or downloaded.

    Args:
        source: ``skimage``, or a folder, absolute or relative to ``root``.
        root: the repository root.

    Raises:
        DataError: the folder is missing, cannot be read or holds no photograph.
    """
    if source == SKIMAGE:
        instead = "set a folder in section prepare of params.yaml"
        return Listing(tuple(PhotoFile(name, bundled(name, instead)) for name in SKIMAGE_PHOTOS))
    folder = root / Path(source).expanduser()
    try:
        paths = list(_walk(folder, set()))
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"expected a readable folder of photographs at {source!r}, got: {reason}; "
            "correct the folder in section prepare of params.yaml"
        ) from error
    photos = [path for path in paths if path.suffix.lower() in SUFFIXES]
    if not photos:
        raise DataError(
            f"expected photographs ({', '.join(sorted(SUFFIXES))}) in {source!r}, got none among "
            f"{len(paths)} files; correct the folder in section prepare of params.yaml"
        )
    files = sorted((PhotoFile(_name(path, folder), path) for path in photos), key=lambda f: f.name)
    return Listing(tuple(files), ignored=len(paths) - len(photos))


def decode(path: Path, max_side_px: int | None = None) -> npt.NDArray[np.uint8]:
    """The pixels of a file, (H, W, 3) RGB, scaled down to ``max_side_px`` where a side is longer.

    Raises:
        zoo.errors.ImageError: the file is no photograph that can be read whole.
    """
    rgb = rgb_array(read_image(path))
    if max_side_px is None or max(rgb.shape[:2]) <= max_side_px:
        return rgb
    image = Image.fromarray(rgb)
    image.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _walk(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    # Links to folders are followed, so each real folder is entered once: a loop of links ends.
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):  # thumbnails and resource forks that look like photographs
            continue
        if entry.is_dir():
            yield from _walk(entry, seen)
        elif entry.is_file() or not entry.exists():  # a dangling link is a photograph we miss
            yield entry


def _name(path: Path, folder: Path) -> str:
    # File names are bytes on Linux; the record is UTF-8, so other bytes are spelt out.
    name = path.relative_to(folder).as_posix()
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
