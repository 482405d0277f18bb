"""Named public sets of photographs, downloaded from their makers on first use.

Downloads are kept below ``.state/downloads``. The SHA-256 of each file is recorded in ``data/sets.json`` on
first use, which belongs into git, and required from then on.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.core.progress import Display
from pipelines.core.records import read_json, write_json_atomic
from pipelines.data.archives import unpack_photos
from zoo.errors import FetchError, ImageError
from zoo.pictures.images import read_picture
from zoo.remote.download import download

MB = 1e6


@dataclass(frozen=True)
class Part:
    """A subset that can be selected by itself.

    Attributes:
        name: after the name of the set and a ``/``; empty for a set of one part.
        files: below the URL of the set: photographs, or one archive.
        inside: the folder of photographs in the archive; None if the files are photographs.
    """

    name: str
    files: tuple[str, ...]
    inside: str | None = None


@dataclass(frozen=True)
class NamedSet:
    """A public set.

    Attributes:
        name: as ``prepare.source``.
        url: folder of its files.
        license: terms of use; trained weights carry this sentence.
        parts: of the whole set.
    """

    name: str
    url: str
    license: str
    parts: tuple[Part, ...]


SETS = (
    NamedSet(
        "kodak",
        "https://r0k.us/graphics/kodak/kodak",
        "Kodak Lossless True Color Image Suite: released by Eastman Kodak for unrestricted use",
        (Part("", tuple(f"kodim{number:02d}.png" for number in range(1, 25))),),
    ),
    NamedSet(
        "bsds500",
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR",
        "BSDS500: non-commercial research and educational use, please cite Arbelaez et al., PAMI 2011",
        tuple(
            Part(part, ("BSR_bsds500.tgz",), f"BSR/BSDS500/data/images/{part}")
            for part in ("train", "val", "test")
        ),
    ),
    NamedSet(
        "div2k",
        "https://data.vision.ee.ethz.ch/cvl/DIV2K",
        "DIV2K: academic research only, please cite Agustsson and Timofte, CVPRW 2017",
        tuple(Part(part, (f"DIV2K_{part}_HR.zip",), f"DIV2K_{part}_HR") for part in ("train", "valid")),
    ),
)


@dataclass(frozen=True)
class SetSelection:
    """A set and the selected parts of it."""

    set: NamedSet
    parts: tuple[Part, ...]

    def photo_name(self, part: Part, path: Path) -> str:
        """Name of a photograph, with the part in front if there are several."""
        return path.name if len(self.parts) == 1 else f"{part.name}/{path.name}"


def find_set(source: str) -> SetSelection | None:
    """Look up a source such as ``kodak`` or ``div2k/train``; None if it names no set.

    Raises:
        DataError: the set has no such part.
    """
    name, _, part = source.partition("/")
    for known in SETS:
        if known.name == name:
            parts = tuple(p for p in known.parts if part in ("", p.name))
            if not parts:
                choices = ", ".join(f"{name}/{p.name}" for p in known.parts if p.name) or "none"
                raise DataError(
                    f"expected a part of the set {name}, got {source!r}; its parts are: {choices}; for a "
                    f"folder of that name write ./{source}"
                )
            return SetSelection(known, parts)
    return None


def fetch_photos(
    selection: SetSelection, layout: Layout, mirror: str | None = None
) -> list[tuple[str, Path]]:
    """Names and files of the photographs, downloaded if needed.

    Args:
        selection: of a set.
        layout: paths of the downloads and the record of their digests.
        mirror: URL of a folder that holds a folder of the set's name with the same files.

    Raises:
        DataError: a file cannot be downloaded, is not the one recorded, or is no photograph or archive.
    """
    url = selection.set.url if mirror is None else f"{mirror.rstrip('/')}/{selection.set.name}"
    downloads = _Downloads(url, selection.set.name, layout)
    return sorted(
        (selection.photo_name(part, path), path)
        for part in selection.parts
        for path in downloads.fetch_part(part)
    )


class _Downloads:
    """The downloaded files of a set."""

    def __init__(self, url: str, name: str, layout: Layout) -> None:
        self._url, self._name = url, name
        self._folder = layout.downloads / name
        self._digests = _Digests(layout.sets, layout.downloads)

    def fetch_part(self, part: Part) -> list[Path]:
        """Photographs of a part, downloaded if needed."""
        if part.inside is None:
            return [self._fetch_photo(file) for file in part.files]
        return sorted(self._fetch_archive(part, part.files[0], part.inside).iterdir())

    def _fetch_photo(self, file: str) -> Path:
        path = self._folder / file
        key = f"{self._name}/{file}"
        required = self._digests.find(key)
        digest = _download(f"{self._url}/{file}", path, required)
        if required is None:
            # A server that names no length may have sent half a picture, which must not become the record.
            _check_photo(path)
            self._digests.record(key, digest)
        return path

    def _fetch_archive(self, part: Part, file: str, inside: str) -> Path:
        key = f"{self._name}/{file}"
        digest = self._digests.find(key)
        if digest is None or not self._unpacked_folder(part, digest).is_dir():
            digest = _download(f"{self._url}/{file}", self._folder / file, digest)
            with FileLock(self._folder / f".{part.name}.lock"):
                if not self._unpacked_folder(part, digest).is_dir():
                    unpack_photos(self._folder / file, inside, self._unpacked_folder(part, digest))
            # Only now: what is no archive must not become the record.
            self._digests.record(key, digest)
        return self._unpacked_folder(part, digest)

    def _unpacked_folder(self, part: Part, digest: str) -> Path:
        return self._folder / f"{part.name}-{digest[:16]}"


def _download(url: str, path: Path, digest: str | None) -> str:
    """Download a file, with a display from its first bytes on; its SHA-256."""
    with ExitStack() as stack:
        shown: list[Display] = []

        def show(done: int, total: int | None) -> None:
            if not shown:
                whole = None if total is None else round(total / MB)
                label = f"prepare: downloading {path.name}"
                display = Display(label, total=whole, done=done / MB, unit="MB", rated="MB")
                shown.append(stack.enter_context(display))
            shown[0].update(done / MB)

        try:
            return download(url, path, digest, on_bytes=show)
        except FetchError as error:
            raise DataError(
                f"{error}; or name a copy in prepare.mirror, or, where another file than the recorded one is "
                "right, remove its entry from data/sets.json"
            ) from error


def _check_photo(path: Path) -> None:
    try:
        read_picture(path)
    except ImageError as error:
        raise DataError(
            f"expected a whole picture, got: {error}; delete {path} to download it again"
        ) from error


class _Digests:
    """The recorded digests, by ``<set>/<file>``."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path, self._lock = path, folder / ".sets.lock"

    def find(self, key: str) -> str | None:
        """The digest that a file must have, if one is recorded."""
        return self._read().get(key)

    def record(self, key: str, digest: str) -> None:
        """Record a digest, to be required from now on."""
        with FileLock(self._lock):
            known = self._read()
            if known.get(key) != digest:
                print(f"prepare: recorded SHA-256 {digest} of {key} in {self._path.name}", flush=True)
                write_json_atomic(self._path, known | {key: digest})

    def _read(self) -> dict[str, str]:
        if not self._path.exists():
            return {}
        try:
            known = read_json(self._path)
        except ValueError as error:
            raise DataError(f"expected JSON in {self._path}, got: {error}; restore it from git") from error
        if not isinstance(known, dict) or not all(isinstance(digest, str) for digest in known.values()):
            raise DataError(
                f"expected digests by file in {self._path}, got {known!r:.100}; restore it from git"
            )
        return known
