"""Restore many pictures: a map function for Ray Data, ``torch.utils.data`` and plain ``map``.

With an output folder results are files, each written whole or not at all, and what is missing is found by a
look at the folders: a job that was killed at any moment is resumed by starting it again.
"""

import errno
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from tunable_models import TunableError
from zoo.catalog import resolve
from zoo.durable import replace_file
from zoo.engine.choice import EngineName, Precision
from zoo.errors import ImageError, IntegrityError, ZooError
from zoo.pictures.formats import BY_SUFFIX, name_result, parse_suffix, readable_suffixes
from zoo.pictures.images import read_pages, read_picture
from zoo.pictures.picture import Pages, Picture
from zoo.predictor import Array, Predictor, Settings, load
from zoo.remote.addresses import pin_reference

Columns = Mapping[str, Any]
"""A batch: arrays or lists of one length, by name."""

IMAGE, BYTES, PATH = "image", "bytes", "path"
"""Columns that hold pictures; of several in a batch the first one counts."""

OUTPUT, ERROR = "output", "error"
"""Columns about the files that were written."""

CACHED_MODELS = 4
"""Models that a process keeps loaded."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_loading = threading.Lock()


class Mapper:
    """A map function over batches of pictures, for Ray Data, ``torch.utils.data`` and plain ``map``.

    It is checked where it is made, and pickled without the model: each process loads that once, when the
    first batch comes, and its threads share it. A batch is a dictionary of columns:

    - ``image``, as ``ray.data.read_images`` gives it: pixels (B, H, W) or (B, H, W, C), or an object array of
      arrays of several sizes, of the kinds that :class:`zoo.Predictor` takes. Restored ones replace them.
    - ``bytes``, as ``ray.data.read_binary_files`` gives it: contents of files. A column ``image`` with the
      restored pixels, at the depth of the file, replaces it.
    - ``path``, where there is neither: files that are read where the mapper runs; ``image`` is added.
    - Columns with the names of sliders are settings of each picture; they override those of all.
    - All others are passed on.

    With ``source`` and ``output``, results are written into files, with the profile, the metadata and all
    pages of the originals; ``path`` says where a picture belongs. Instead of pixels the batch then has the
    columns ``output``, the file, and ``error``, empty where there is one: a picture that is broken, or not
    below ``source``, does not stop the others. A result that exists is kept, never written again.

    ``dataset.map_batches(mapper)`` computes in tasks of Ray, whose processes, and with them the model, are
    used again while there is work. ``dataset.map_batches(zoo.Mapper, fn_constructor_args=("photo",),
    compute=ray.data.ActorPoolStrategy(size=2))`` makes actors, which keep the model as long as the job lasts:
    for models that load slowly, and for GPUs, with ``num_gpus=1`` and a ``device`` in
    ``fn_constructor_kwargs``. Actors that hold all CPUs leave Ray none to read files with: give them paths,
    or let there be fewer. With both engines a worker computes on as many threads as ``num_cpus`` gives it
    CPUs.

    Args:
        ref: of the entry, as for :func:`zoo.load`.
        values: settings of all pictures by name, in the controls' native units; unset ones take their
            defaults.
        device: where workers compute.
        engine: what computes there.
        precision: what it computes in.
        source: folder of the pictures.
        output: folder of the results, where pictures have the places that they have in ``source``. Workers on
            several machines need it under the same path.
        format: suffix of the results, such as ``.png``; by default that of the picture, and ``.png`` for
            formats that are not written.
        **controls: further settings as keywords.

    Attributes:
        space: the controls, and how they go together.

    Raises:
        OmegaError: a setting is unknown, not a number, or out of range.
        EntryNotFoundError, ManifestError, IntegrityError, FetchError: as for :func:`zoo.resolve`.
        ImageError: an unknown format; ``source`` or ``output`` alone; or the same folder as both.

    Example:
        >>> import numpy as np
        >>> mapper = Mapper(store.open("tiny").folder, denoise=0.5)
        >>> batch = {"image": np.zeros((2, 32, 48, 3), np.uint8), "denoise": [0.2, 0.8], "name": ["a", "b"]}
        >>> restored = mapper(batch)
        >>> restored["image"].shape, restored["name"]
        ((2, 32, 48, 3), ['a', 'b'])
    """

    def __init__(
        self,
        ref: str | Path,
        values: Settings = None,
        *,
        device: str | torch.device = "cpu",
        engine: EngineName = "auto",
        precision: Precision = "float32",
        source: str | Path | None = None,
        output: str | Path | None = None,
        format: str | None = None,
        **controls: float,
    ) -> None:
        entry = resolve(ref)
        self.space = entry.manifest.control_space
        self.space.omega(values, **controls)
        self._values = {**(values or {}), **controls}
        # A worker may have another current folder, and begin when an alias has moved.
        pinned = pin_reference(ref, entry.version)
        self._options = (pinned, entry.version, str(device), engine, precision)
        self._folders = _check_folders(source, output, format)

    def __call__(self, batch: Columns) -> dict[str, Any]:
        """Restore the pictures of a batch.

        Raises:
            OmegaError, ImageError, EngineError: as for a call of :class:`zoo.Predictor`, by the first picture
                that fails; with an output folder such a picture has an ``error`` instead.
            ImageError: the batch has no column of pictures, or no paths that say where results belong.
            OSError: the disk of the output folder is full.
        """
        kind = next((name for name in (IMAGE, BYTES, PATH) if name in batch), None)
        if kind is None or (self._folders and PATH not in batch):
            wanted = PATH if kind else f"{IMAGE}, {BYTES} or {PATH}"
            raise ImageError(
                f"expected a column {wanted}, got {', '.join(batch) or 'none'}; ray.data.read_images and "
                "read_binary_files make them, the paths with include_paths=True"
            )
        model = find_model(*self._options)
        rows = [self._take_row(batch, kind, number) for number in range(len(batch[kind]))]
        if self._folders is None:
            restored = [_restore_pixels(model, row) for row in rows]
            kept = {name: column for name, column in batch.items() if name != BYTES}
            return kept | {IMAGE: _join_pixels(restored, batch[kind])}
        written = [_restore_file(model, row, self._folders) for row in rows]
        kept = {name: column for name, column in batch.items() if name not in (IMAGE, BYTES)}
        texts = np.array(written, dtype=object).reshape(len(written), 2)
        return kept | {OUTPUT: texts[:, 0], ERROR: texts[:, 1]}

    def list_missing(self) -> list[str]:
        """List the pictures in and below ``source`` that have no result yet, as paths.

        Counted are files whose suffix is that of a format that is read, but for hidden ones, and those in
        hidden or linked folders or in the output folder. One that failed has no result: it is listed again.

        Raises:
            ImageError: there is no output folder, or two pictures would have the same result.
            OSError: a folder cannot be read.

        Example:
            >>> from PIL import Image
            >>> Path("photos/night").mkdir(parents=True)
            >>> for name in ("photos/noon.png", "photos/night/in.png"):
            ...     Image.new("RGB", (48, 32)).save(name)
            >>> mapper = Mapper(store.open("tiny").folder, source="photos", output="restored")
            >>> done = mapper({"path": ["photos/noon.png"]})
            >>> [Path(path).name for path in mapper.list_missing()]
            ['in.png']
        """
        if self._folders is None:
            raise ImageError("expected a mapper that writes files, got one without; say source= and output=")
        return self._folders.list_missing()

    def _take_row(self, batch: Columns, kind: str, number: int) -> "_Row":
        own = {name: batch[name][number] for name in self.space.names if name in batch}
        path = str(batch[PATH][number]) if PATH in batch else ""
        return _Row(number, batch[kind][number], path, {**self._values, **own})


class _Row(NamedTuple):
    """A picture of a batch."""

    number: int
    content: Any
    path: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class _Folders:
    """Folders of pictures and of their results, which have the same relative paths but for the suffix."""

    source: Path
    output: Path
    suffix: str | None
    readable: frozenset[str]

    def list_missing(self) -> list[str]:
        """List the pictures without a result."""
        owners: dict[str, str] = {}
        for place in _walk_files(self.source, leave_out=os.path.realpath(self.output)):
            if os.path.splitext(place)[1].lower() not in self.readable:
                continue
            target = name_result(place, self.suffix)
            other = owners.setdefault(target, place)
            if other != place:
                raise ImageError(
                    f"{other} and {place} in {self.source} would both become {target}; rename one, or choose "
                    "another format"
                )
        made = set(_walk_files(self.output)) if self.output.is_dir() else set()
        return [os.path.join(self.source, place) for target, place in owners.items() if target not in made]

    def locate(self, path: str) -> str:
        """The relative path of a picture.

        Raises:
            ImageError: it leads out of the source folder.
        """
        place = os.path.relpath(os.path.abspath(path), self.source)
        if place.split(os.sep)[0] in (os.curdir, os.pardir):
            raise ImageError(f"expected a picture below {self.source}, got {path}; choose another source=")
        return place

    def is_made(self, place: str) -> bool:
        """Whether there is a result: of an earlier run, or of a task that died later and is run again.

        Raises:
            ImageError: it may be that of another picture.
        """
        target = name_result(place, self.suffix)
        if not (self.output / target).exists():
            return False
        stem, own = os.path.splitext(place)
        for suffix in sorted(self.readable - {own.lower()}):
            for other in (stem + suffix, stem + suffix.upper()):
                if name_result(other, self.suffix) == target and (self.source / other).exists():
                    raise ImageError(f"{other} in {self.source} would become {target} as well; rename one")
        return True


def find_model(ref: str, version: str, device: str, engine: EngineName, precision: Precision) -> Predictor:
    """Find the predictor of an entry, loaded once in this process, however many threads ask at a time.

    Raises:
        IntegrityError: the reference leads to another version by now.
    """
    with _loading:
        # A fork sees its parent's cache, but has none of the threads that compute for it.
        model = _load_model(os.getpid(), ref, device, engine, precision)
    if model.version != version:
        raise IntegrityError(
            f"expected {ref} to be version {version}, as where the mapper was made, got {model.version}; "
            "make it again, of a reference that names a version"
        )
    return model


@lru_cache(CACHED_MODELS)
def _load_model(_process: int, ref: str, device: str, engine: EngineName, precision: Precision) -> Predictor:
    return load(ref, device=device, engine=engine, precision=precision)


def _restore_pixels(model: Predictor, row: _Row) -> Array:
    try:
        if isinstance(row.content, str | Path | bytes):
            picture = read_picture(row.content, max_pixels=model.max_pixels)
        else:
            picture = Picture(row.content)
        return model.restore(picture, row.values).pixels
    except (TunableError, ZooError) as error:
        label = row.path or f"picture {row.number} of the batch"
        if str(error).startswith(f"cannot read {label}:"):
            raise
        raise type(error)(f"{label}: {error}") from error


def _restore_file(model: Predictor, row: _Row, folders: _Folders) -> tuple[str, str]:
    """Restore a picture into its file; returns that, or else an empty name and the reason."""
    try:
        place = folders.locate(row.path)
        target = folders.output / name_result(place, folders.suffix)
        if not folders.is_made(place):
            data = _restore_pages(model, row, target.suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not folders.is_made(place):
                replace_file(target, data)
    except (TunableError, ZooError, OSError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise
        return "", str(error) or type(error).__name__
    return str(target), ""


def _restore_pages(model: Predictor, row: _Row, suffix: str) -> bytes:
    """Restore all pages of a picture into a file of a format."""
    if isinstance(row.content, str | Path | bytes):
        pages = read_pages(row.content, max_pixels=model.max_pixels)
    else:
        pages = Pages((Picture(row.content),))
    results = tuple(model.restore(page, row.values) for page in pages.pictures)
    return BY_SUFFIX[suffix.lower()].encode_pages(replace(pages, pictures=results))


def _join_pixels(pictures: Sequence[Array], like: Any) -> Array:
    """A column of pictures; one array where ``like`` is one of pixels."""
    if pictures and isinstance(like, np.ndarray) and like.ndim > 1:
        return np.stack(pictures)
    column = np.empty(len(pictures), dtype=object)
    for number, picture in enumerate(pictures):
        column[number] = picture
    return column


def _check_folders(
    source: str | Path | None, output: str | Path | None, format: str | None
) -> _Folders | None:
    if source is None and output is None and format is None:
        return None
    if source is None or output is None:
        raise ImageError(
            f"expected the folders of pictures and of results, got source={source!r} and output={output!r}; "
            "give both, or neither and no format"
        )
    if os.path.realpath(source) == os.path.realpath(output):
        raise ImageError(f"expected two folders, got source and output {source}; choose another output")
    suffix = None if format is None else parse_suffix(format)
    return _Folders(Path(source).absolute(), Path(output).absolute(), suffix, readable_suffixes())


def _walk_files(root: Path, leave_out: str = "") -> Iterator[str]:
    """Relative paths of the files in and below a folder in a fixed order, without hidden ones."""
    for parent, folders, files in os.walk(root, onerror=_raise_error):
        paths = {name: os.path.join(parent, name) for name in folders if not name.startswith(".")}
        folders[:] = sorted(name for name, path in paths.items() if os.path.realpath(path) != leave_out)
        inside = os.path.relpath(parent, root)
        for name in sorted(name for name in files if not name.startswith(".")):
            yield name if inside == os.curdir else os.path.join(inside, name)


def _raise_error(error: OSError) -> None:
    raise error
