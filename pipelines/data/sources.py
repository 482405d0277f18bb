"""Finding photographs: in a folder, at a URL, in a public set, or in the scikit-image package."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.data.bundled import bundled
from pipelines.data.extensions import SUFFIXES, is_photo
from pipelines.data.public_sets import Wanted, fetch, named_set
from pipelines.data.remote import Remote, is_url
from zoo.pictures.images import read_picture, rgb_array

SKIMAGE = "skimage"
"""The source that stands for the photographs inside the scikit-image package."""

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
    where: Path | Remote

    def content(self) -> Path | bytes:
        """What to decode.

        Raises:
            DataError: it lies at a URL and cannot be fetched.
        """
        return self.where if isinstance(self.where, Path) else self.where.read(self.name)


@dataclass(frozen=True)
class Listing:
    """The files of a source in the order of their names; ``ignored`` counts the other files."""

    files: tuple[PhotoFile, ...]
    ignored: int = 0


def list_photos(source: str, root: Path, mirror: str | None = None) -> Listing:
    """The photographs of a source; nothing is decoded, and nothing downloaded but a public set.

    Args:
        source: as ``prepare.source``.
        root: of the work tree.
        mirror: as ``prepare.mirror``.

    Raises:
        DataError: the place is missing, cannot be read or holds no photograph, or a set cannot be had.
    """
    if source == SKIMAGE:
        instead = "set a folder in section prepare of params.yaml"
        return Listing(tuple(PhotoFile(name, bundled(name, instead)) for name in SKIMAGE_PHOTOS))
    if is_url(source):
        if "::" in source:
            raise DataError(
                f"expected the URL of a folder, got a chain of them, {source!r}; unpack archives first"
            )
        remote = Remote(source)
        return _listing(source, [PhotoFile(name, remote) for name in remote.files() if not _is_hidden(name)])
    wanted = named_set(source)
    return _listing(source, _in_set(wanted, root, mirror) if wanted else _in_folder(source, root))


def license_of(source: str, names: Sequence[str]) -> str:
    """Under which terms photographs of a source may be used, as far as it is known.

    Args:
        source: as ``prepare.source``.
        names: of the photographs.
    """
    if source == SKIMAGE:
        return "; ".join(f"{name}: {SKIMAGE_PHOTOS[name]}" for name in names)
    wanted = None if is_url(source) else named_set(source)
    return wanted.chosen.license if wanted else "not stated"


def decode(content: Path | bytes, max_side_px: int | None = None) -> npt.NDArray[np.uint8]:
    """The pixels of a file, (H, W, 3) RGB, scaled down to ``max_side_px`` where a side is longer.

    Raises:
        zoo.errors.ImageError: the file is no photograph that can be read whole.
    """
    rgb = rgb_array(read_picture(content))
    if max_side_px is None or max(rgb.shape[:2]) <= max_side_px:
        return rgb
    image = Image.fromarray(rgb)
    image.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _listing(source: str, files: Sequence[PhotoFile]) -> Listing:
    photos = sorted((file for file in files if is_photo(file.name)), key=lambda file: file.name)
    if not photos:
        raise DataError(
            f"expected photographs ({', '.join(sorted(SUFFIXES))}) in {source!r}, got none among "
            f"{len(files)} files; correct the place in section prepare of params.yaml"
        )
    return Listing(tuple(photos), ignored=len(files) - len(photos))


def _in_set(wanted: Wanted, root: Path, mirror: str | None) -> list[PhotoFile]:
    return [PhotoFile(name, path) for name, path in fetch(wanted, Layout(root), mirror)]


def _in_folder(source: str, root: Path) -> list[PhotoFile]:
    folder = root / Path(source).expanduser()
    try:
        return [PhotoFile(_name(path, folder), path) for path in _walk(folder, set())]
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"expected a readable folder of photographs at {source!r}, got: {reason}; "
            "correct the folder in section prepare of params.yaml"
        ) from error


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


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))
