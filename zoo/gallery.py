"""A gallery: a static web page of models with their previews, sliders and numbers.

The page needs only its own folder, and no script to be read. What manifests and indexes say is untrusted
text: jinja2 escapes it, and the page's Content-Security-Policy allows only its own script and style, by hash.
"""

import base64
import hashlib
import shlex
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from tunable_models import ControlSpace
from zoo.card import CAPTIONS, PREVIEW, CardTable, list_tables
from zoo.catalog import default_stores, list_models
from zoo.deprecation import Deprecation
from zoo.durable import replace_folder, sync_folder, write_file
from zoo.entry import Entry
from zoo.errors import ImageError, ManifestError, ZooError
from zoo.manifest import FileRecord, Manifest
from zoo.pictures.images import read_picture, rgb_array
from zoo.remote.cache import Cache
from zoo.remote.files import Files, is_local, open_files
from zoo.remote.remote_zoo import RemoteZoo
from zoo.remote.sources import strip_user
from zoo.storage import LATEST, Store, version_order

PAGE, PREVIEWS = "index.html", "previews"
"""All that the folder of a gallery holds."""

MARKER = b'<meta name="generator" content="tunable-zoo gallery">'
"""What tells our page from any other ``index.html``."""

MAX_PREVIEW_BYTES = 2**24
MAX_PREVIEW_PIXELS = 2**24

THUMBNAIL_PX = (1600, 3200)
"""Largest width and height; the pipeline's contact sheets, 1516 wide, keep their size, and so their noise."""

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, kw_only=True)
class _Version:
    """A version, the aliases that point at it, and why it should not be used, if so."""

    version: str
    aliases: Sequence[str]
    deprecated: Deprecation | None


@dataclass(frozen=True, kw_only=True)
class _Model:
    """A model before it is written.

    Attributes:
        manifest: of the version that its name alone means.
        ref: what a reader types to use it.
        versions: that one, then the others from new to old.
        read_file: gives the verified content of one of its files.
    """

    manifest: Manifest
    ref: str
    versions: Sequence[_Version]
    read_file: Callable[[FileRecord], bytes]


@dataclass(frozen=True, kw_only=True)
class _Preview:
    """Addresses of a preview and of its thumbnail, and the size of the thumbnail in pixels."""

    full: str
    thumbnail: str
    width: int
    height: int


def write_gallery(folder: str | Path, source: RemoteZoo | Iterable[Store] | None = None) -> Path:
    """Write a static web page of a zoo's models: pictures, sliders, numbers, licenses, how to use them.

    The default version of each model is shown, the others are named. Of a zoo elsewhere, manifests and
    previews are fetched, no weights. A damaged model is left out with a warning, and so is a preview that is
    damaged, no PNG, or too large.

    Args:
        folder: for ``index.html`` and pictures. It may hold an earlier gallery, which is replaced as a whole.
        source: a zoo elsewhere, or stores of entries; by default those of :func:`zoo.default_stores`.

    Returns:
        The page.

    Raises:
        ZooError: the folder holds something else than a gallery.
        FetchError: the zoo cannot be reached, or there is none.
        ManifestError, IntegrityError: its index cannot be used.

    Example:
        >>> page = write_gallery("gallery", [store])
        >>> page.name, "tiny" in page.read_text(encoding="utf-8")
        ('index.html', True)
    """
    target = Path(folder).expanduser().resolve()  # a link stays, and what it leads to is replaced
    _check_replaceable(target)
    if isinstance(source, RemoteZoo):
        address = _public_address(source)
        models = _list_remote(source, address)
    else:
        address = None
        models = _list_local(default_stores() if source is None else source)
    with replace_folder(target) as unfinished:
        previews = unfinished / PREVIEWS
        previews.mkdir()
        cards = [_describe_model(model, _write_preview(model, previews)) for model in models]
        cards.sort(key=lambda card: card["versions"][0].deprecated is not None)  # these last
        sync_folder(previews)
        write_file(unfinished / PAGE, _render_page(cards, address).encode())
    return target / PAGE


def _check_replaceable(folder: Path) -> None:
    """Refuse a folder with anything in it that is not of a gallery."""
    if not folder.exists():
        return
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else {folder.name}
    page = folder / PAGE
    is_gallery = page.is_file() and MARKER in page.read_bytes()[:1000]
    if names and not (is_gallery and names <= {PAGE, PREVIEWS}):
        found = ", ".join(sorted(names - {PREVIEWS})[:3])
        raise ZooError(f"expected a new folder or a gallery at {folder}, got one with {found}; name another")


def _list_local(stores: Iterable[Store]) -> Iterator[_Model]:
    """Default entries by name, each of the first store that has one, as :func:`zoo.list_models` has them."""
    found: dict[str, tuple[Store, Entry]] = {}
    for store in stores:
        for entry in list_models(stores=[store]):
            found.setdefault(entry.name, (store, entry))
    for name, (store, entry) in sorted(found.items()):
        known = store.deprecations(name)
        versions = {version: known.get(version) for version in store.versions(name)}
        yield _Model(
            manifest=entry.manifest,
            ref=name,
            versions=_list_versions(entry.version, store.aliases(name), versions),
            read_file=entry.read_file,  # the weights are not hashed
        )


def _list_remote(remote: RemoteZoo, address: str) -> Iterator[_Model]:
    """Default versions by name; nothing is kept in the cache."""
    index = remote.read_index()
    with TemporaryDirectory(prefix="gallery-") as scratch:
        apart = replace(remote, cache=Cache(Path(scratch)))
        fetch = partial(_fetch_file, open_files(remote.url), Path(scratch))
        for name, model in sorted(index.models.items()):
            try:
                manifest, _ = apart.read_manifest(name, *index.find(name, LATEST, remote.url))
            except ZooError as error:
                warnings.warn(f"{name} is left out of the gallery: {error}", stacklevel=2)
                continue
            versions = {version: indexed.deprecated for version, indexed in model.versions.items()}
            yield _Model(
                manifest=manifest,
                ref=f"{address}/{name}" if address else name,
                versions=_list_versions(manifest.version, model.aliases, versions),
                read_file=fetch,
            )


def _list_versions(
    shown: str, aliases: Mapping[str, str], versions: Mapping[str, Deprecation | None]
) -> list[_Version]:
    """The one that is shown, then the others from new to old."""
    order = sorted(versions, key=lambda version: (version == shown, version_order(version)), reverse=True)
    return [
        _Version(
            version=version,
            aliases=sorted(alias for alias, target in aliases.items() if target == version),
            deprecated=versions[version],
        )
        for version in order
    ]


def _fetch_file(files: Files, folder: Path, record: FileRecord) -> bytes:
    path = folder / record.sha256
    files.fetch(record.sha256, path, record.sha256, record.size, lambda done, total: None)
    return path.read_bytes()


def _write_preview(model: _Model, folder: Path) -> _Preview | None:
    """Copy the preview of a model into a folder, with a thumbnail; None if it has none that can be shown."""
    manifest = model.manifest
    record = next((file for file in manifest.files if file.path == PREVIEW), None)
    if record is None:
        return None
    try:
        if record.size > MAX_PREVIEW_BYTES:
            raise ImageError(f"expected at most {MAX_PREVIEW_BYTES:,} bytes, got {record.size:,}")
        data = model.read_file(record)
        if not data.startswith(_PNG):  # a browser believes the suffix
            raise ImageError("expected a PNG, got a file of another kind")
        picture = Image.fromarray(rgb_array(read_picture(data, max_pixels=MAX_PREVIEW_PIXELS)))
    except (ZooError, OSError) as error:
        label = f"{manifest.name}@{manifest.version}"
        warnings.warn(f"{label} is shown without its preview: {error}", stacklevel=2)
        return None
    picture.thumbnail(THUMBNAIL_PX)
    thumbnail, stem = BytesIO(), f"{manifest.name}-{manifest.version}"
    picture.save(thumbnail, "WEBP", quality=88, method=6)
    for suffix, content in ((".png", data), (".webp", thumbnail.getvalue())):
        write_file(folder / f"{stem}{suffix}", content)
    return _Preview(
        full=f"{PREVIEWS}/{stem}.png",
        thumbnail=f"{PREVIEWS}/{stem}.webp",
        width=picture.width,
        height=picture.height,
    )


def _describe_model(model: _Model, preview: _Preview | None) -> dict[str, Any]:
    """What the template shows of a model."""
    manifest = model.manifest
    space = manifest.control_space
    return {
        "manifest": manifest,
        "versions": model.versions,
        "preview": preview,
        "space": space,
        "size": f"{sum(file.size for file in manifest.files) / 2**20:.3g} MiB",
        "tables": _list_tables(manifest),
        "usage": _write_usage(model.ref, space),
    }


def _list_tables(manifest: Manifest) -> list[CardTable]:
    try:
        return list_tables(manifest)
    except ManifestError:  # publish refuses such tables; others may have written the manifest
        return []


def _write_usage(ref: str, space: ControlSpace) -> dict[str, str]:
    """Lines to type, in Python and in a shell."""
    defaults = list(space.defaults.items())
    # Sliders that share a sum: the last takes what the others leave.
    shown = defaults[:-1] if space.kind == "simplex" else defaults
    settings = [f"{name}={value:.4g}" for name, value in shown]
    return {
        "python": f'model = zoo.load("{ref}")\nrestored = model("photo.png", {", ".join(settings)})',
        "shell": f"tunable apply {shlex.quote(ref)} photo.png -o restored.png --set {' '.join(settings)}",
    }


def _public_address(remote: RemoteZoo) -> str:
    """The URL without user and password; empty for a folder, whose path is of this machine alone."""
    return "" if is_local(remote.url) else strip_user(remote.url)


def _render_page(cards: Sequence[Mapping[str, Any]], address: str | None) -> str:
    """The page.

    Args:
        cards: what is shown of each model, in order.
        address: of their zoo, as :func:`_public_address` gives it; None where they are at hand.
    """
    from jinja2 import Environment, StrictUndefined  # late: most uses of the zoo write no page

    pages = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    pages.filters["hash_source"] = _hash_source
    template = pages.from_string(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
    tasks = sorted({card["manifest"].task for card in cards})
    return template.render(cards=cards, tasks=tasks, address=address, caption=CAPTIONS[PREVIEW])


def _hash_source(text: str) -> str:
    """What a Content-Security-Policy calls an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
