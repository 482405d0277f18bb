"""List and decode the photographs of a source: a folder, a URL, a public set or the scikit-image package."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.data.archives import PHOTO_SUFFIXES, is_photo
from pipelines.data.public_sets import fetch_photos, find_set
from pipelines.data.remote import Remote, is_url
from pipelines.data.style_images import bundled_image
from zoo.pictures.images import read_picture, rgb_array

SKIMAGE = "skimage"
"""The source of the photographs inside the scikit-image package."""

_MIDDLEBURY = "Middlebury 2014 stereo data, use and publication granted, please cite Scharstein et al. 2014"

SKIMAGE_PHOTOS = {
    "astronaut.png": "public domain (NASA)",
    "chelsea.png": "CC0 (Stefan van der Walt)",
    "coffee.png": "CC0 (Rachel Michetti)",
    "motorcycle_left.png": _MIDDLEBURY,
    "motorcycle_right.png": _MIDDLEBURY,
    "rocket.jpg": "public domain (SpaceX)",
}
"""The natural color photographs of every scikit-image installation, and their terms as their sources state
them. Its logos, textures, gray, medical and astronomical images are left out."""


@dataclass(frozen=True)
class PhotoFile:
    """A file that should hold a photograph.

    Attributes:
        name: path below the source (``a/b.jpg``).
        place: the file, or the URL of the source.
    """

    name: str
    place: Path | Remote

    def fetch(self) -> Path | bytes:
        """Path of a local file, content of a remote one.

        Raises:
            DataError: it cannot be downloaded.
        """
        return self.place if isinstance(self.place, Path) else self.place.read(self.name)


@dataclass(frozen=True)
class Listing:
    """The photographs of a source, sorted by name; ``ignored`` counts the other files by suffix."""

    files: tuple[PhotoFile, ...]
    ignored: Mapping[str, int] = field(default_factory=dict)


def list_photos(source: str, root: Path, mirror: str | None = None) -> Listing:
    """List the photographs of a source without decoding them; only a public set is downloaded.

    Args:
        source: as ``prepare.source``.
        root: folder that relative paths start from.
        mirror: as ``prepare.mirror``.

    Raises:
        DataError: the source is missing, unreadable or holds no photograph, or a set cannot be downloaded.
    """
    if source == SKIMAGE:
        instead = "set a folder in section prepare of params.yaml"
        return Listing(tuple(PhotoFile(name, bundled_image(name, instead)) for name in SKIMAGE_PHOTOS))
    if is_url(source):
        if "::" in source:
            raise DataError(
                f"expected the URL of a folder, got the chained URL {source!r}; unpack archives first"
            )
        remote = Remote(source)
        names = [name for name in remote.list_files() if not _is_hidden(name)]
        return _select_photos(source, [PhotoFile(name, remote) for name in names])
    selection = find_set(source)
    if selection is None:
        return _select_photos(source, _list_folder(source, root))
    found = fetch_photos(selection, Layout(root), mirror)
    return _select_photos(source, [PhotoFile(name, path) for name, path in found])


def license_of(source: str, names: Sequence[str]) -> str:
    """License of some photographs of a source, as far as it is known."""
    if source == SKIMAGE:
        return "; ".join(f"{name}: {SKIMAGE_PHOTOS[name]}" for name in names)
    selection = None if is_url(source) else find_set(source)
    return selection.set.license if selection else "not stated"


def decode_photo(content: Path | bytes, max_side_px: int | None = None) -> npt.NDArray[np.uint8]:
    """Decode to (H, W, 3) RGB, scaled down so that no side is longer than ``max_side_px``.

    Raises:
        zoo.errors.ImageError: the file is no photograph, or a damaged one.
    """
    rgb = rgb_array(read_picture(content))
    if max_side_px is None or max(rgb.shape[:2]) <= max_side_px:
        return rgb
    image = Image.fromarray(rgb)
    image.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _select_photos(source: str, files: Sequence[PhotoFile]) -> Listing:
    photos = sorted((file for file in files if is_photo(file.name)), key=lambda file: file.name)
    if not photos:
        raise DataError(
            f"expected photographs ({', '.join(sorted(PHOTO_SUFFIXES))}) in {source!r}, got none among "
            f"{len(files)} files; correct the source in section prepare of params.yaml"
        )
    others = Counter(_suffix_of(file.name) for file in files if not is_photo(file.name))
    return Listing(tuple(photos), ignored=dict(sorted(others.items())))


def _suffix_of(name: str) -> str:
    return PurePosixPath(name).suffix.lower() or "without a suffix"


def _list_folder(source: str, root: Path) -> list[PhotoFile]:
    folder = root / Path(source).expanduser()
    try:
        return [PhotoFile(_relative_name(path, folder), path) for path in _walk_folder(folder, set())]
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"expected a readable folder of photographs at {source!r}, got: {reason}; "
            "correct the folder in section prepare of params.yaml"
        ) from error


def _walk_folder(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    # Links to folders are followed; entering each real folder once ends loops of links.
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):  # thumbnails and resource forks look like photographs
            continue
        if entry.is_dir():
            yield from _walk_folder(entry, seen)
        elif entry.is_file() or not entry.exists():  # a dangling link is reported as unreadable
            yield entry


def _relative_name(path: Path, folder: Path) -> str:
    # File names are bytes on Linux; the record is UTF-8, so other bytes are escaped.
    name = path.relative_to(folder).as_posix()
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))
