"""Public sets of photographs by name, each from where its makers keep it.

Nothing of them is part of this package. What was downloaded stays below ``.state/downloads``; the SHA-256 of
each file is written into ``data/sets.json`` on first use, which belongs to git, and required ever after.
"""

from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.core.records import read_json, write_json_atomic
from pipelines.data.archives import unpack
from pipelines.data.download import download
from zoo.errors import ImageError
from zoo.pictures.images import read_picture


@dataclass(frozen=True)
class Part:
    """A piece of a set that can be asked for by itself.

    Attributes:
        name: after the name of the set and a ``/``; empty for a set of one piece.
        files: below the set's URL: photographs, or one archive.
        inside: the folder of photographs in the archive; None where the files are photographs.
    """

    name: str
    files: tuple[str, ...]
    inside: str | None = None


@dataclass(frozen=True)
class NamedSet:
    """A public set.

    Attributes:
        name: of the set.
        url: of the folder that holds its files.
        license: under which terms it may be used; trained weights carry this sentence.
        parts: together the whole set.
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
class Wanted:
    """Parts of a set; photographs of several are named with the part in front."""

    chosen: NamedSet
    parts: tuple[Part, ...]

    def name(self, part: Part, path: Path) -> str:
        """Of a photograph."""
        return path.name if len(self.parts) == 1 else f"{part.name}/{path.name}"


def named_set(source: str) -> Wanted | None:
    """What a source such as ``kodak`` or ``div2k/train`` names; None if it names no set.

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
            return Wanted(known, parts)
    return None


def fetch(wanted: Wanted, layout: Layout, mirror: str | None = None) -> list[tuple[str, Path]]:
    """Names and files of the photographs, downloaded if they are not here.

    Args:
        wanted: which.
        layout: of the work tree that keeps them, and the record of their digests.
        mirror: URL of a folder that holds a folder of the set's name with the same files.

    Raises:
        DataError: a file cannot be had, is not the one recorded, or is no photograph or archive of them.
    """
    url = wanted.chosen.url if mirror is None else f"{mirror.rstrip('/')}/{wanted.chosen.name}"
    shelf = _Shelf(url, wanted.chosen.name, layout)
    found = [(wanted.name(part, path), path) for part in wanted.parts for path in shelf.photographs(part)]
    return sorted(found)


class _Shelf:
    """Where the files of a set are kept."""

    def __init__(self, url: str, name: str, layout: Layout) -> None:
        self._url, self._name = url, name
        self._folder = layout.downloads / name
        self._digests = _Digests(layout.sets, layout.downloads)

    def photographs(self, part: Part) -> list[Path]:
        """Files of a part."""
        if part.inside is None:
            return [self._photograph(file) for file in part.files]
        return sorted(self._unpacked(part, part.files[0], part.inside).iterdir())

    def _photograph(self, file: str) -> Path:
        path = self._folder / file
        key = f"{self._name}/{file}"
        required = self._digests.of(key)
        digest = download(f"{self._url}/{file}", path, required)
        if required is None:
            # Half a picture, from a server that names no length, must not be required from now on.
            _check_picture(path)
            self._digests.record(key, digest)
        return path

    def _unpacked(self, part: Part, file: str, inside: str) -> Path:
        key = f"{self._name}/{file}"
        digest = self._digests.of(key)
        if digest is None or not self._unpacked_folder(part, digest).is_dir():
            digest = download(f"{self._url}/{file}", self._folder / file, digest)
            with FileLock(self._folder / f".{part.name}.lock"):
                if not self._unpacked_folder(part, digest).is_dir():
                    unpack(self._folder / file, inside, self._unpacked_folder(part, digest))
            # Not before: what turned out to be no archive must not be required from now on.
            self._digests.record(key, digest)
        return self._unpacked_folder(part, digest)

    def _unpacked_folder(self, part: Part, digest: str) -> Path:
        return self._folder / f"{part.name}-{digest[:16]}"


def _check_picture(path: Path) -> None:
    try:
        read_picture(path)
    except ImageError as error:
        raise DataError(
            f"expected a whole picture, got: {error}; delete {path} to download it again"
        ) from error


class _Digests:
    """The digests of files used so far, by ``<set>/<file>``."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path, self._lock = path, folder / ".sets.lock"

    def of(self, key: str) -> str | None:
        """The digest that a file must have, if it has been used before."""
        return self._all().get(key)

    def record(self, key: str, digest: str) -> None:
        """Require this digest from now on."""
        with FileLock(self._lock):
            known = self._all()
            if known.get(key) != digest:
                print(f"prepare: recorded SHA-256 {digest} of {key} in {self._path.name}", flush=True)
                write_json_atomic(self._path, known | {key: digest})

    def _all(self) -> dict[str, str]:
        if not self._path.exists():
            return {}
        try:
            known = read_json(self._path)
        except ValueError as error:
            raise DataError(f"expected JSON in {self._path}, got: {error}; restore it from git") from error
        if not isinstance(known, dict) or not all(isinstance(digest, str) for digest in known.values()):
            raise DataError(
                f"expected digests by file in {self._path}, got something else; restore it from git"
            )
        return known
