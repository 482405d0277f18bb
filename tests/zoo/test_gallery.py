"""The gallery: what a page shows, from stores and from zoos elsewhere, and what it refuses to show."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zoo
from file_server import serving
from tunable_models import Control, ControlSpace, TunableNetwork
from zoo import gallery
from zoo.catalog import bundled_store
from zoo.entry import Entry
from zoo.gallery import MARKER, PAGE, PREVIEWS, write_gallery
from zoo.remote.cache import Cache
from zoo.remote.remote_zoo import RemoteZoo
from zoo.storage import Store

VOID = {"meta", "link", "img", "input"}
HOSTILE = '</p><script>alert(1)</script><img src="https://example.org/x.png" onerror="alert(1)">'


class Page(HTMLParser):
    """Text, tags and addresses of a page whose tags are all closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text = f"{self.text} {' '.join(data.split())}".strip()

    def values(self, attribute: str) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get(attribute))]


def encode_png(width: int = 60, height: int = 40) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def list_files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def deprecate(folder: Path, name: str, version: str, **why: str) -> None:
    index = json.loads((folder / "index.json").read_text())
    index["models"][name]["versions"][version]["deprecated"] = why
    (folder / "index.json").write_text(json.dumps(index))


@pytest.fixture
def pictured(publish: Callable[..., Entry]) -> Entry:
    return publish(files={"preview.png": encode_png()})


@pytest.fixture
def shared(tmp_path: Path, pictured: Entry) -> RemoteZoo:
    """A zoo in a folder, with ``tiny``."""
    remote = RemoteZoo(str(tmp_path / "shared"), Cache(tmp_path / "cache"))
    remote.push(pictured, ["latest", "stable"])
    return remote


def test_bundled_entries_are_shown_whole(tmp_path: Path) -> None:
    page = Page(write_gallery(tmp_path / "gallery", [bundled_store()]))
    entries = zoo.list_models(stores=[bundled_store()])
    assert [attrs["id"] for tag, attrs in page.tags if tag == "article"] == [entry.name for entry in entries]
    for entry in entries:
        manifest = entry.manifest
        stem = f"{entry.name}-{entry.version}"
        copy = tmp_path / "gallery" / PREVIEWS / f"{stem}.png"
        assert copy.read_bytes() == entry.contents()["preview.png"]
        said = [
            entry.version,
            manifest.description,
            manifest.license.weights,
            manifest.license.data,
            *manifest.intended_use,
            *manifest.limitations,
            *(control.description for control in manifest.control_space.controls),
            *(cell for table in manifest.metrics["tables"] for row in table["rows"] for cell in row),
            f'zoo.load("{entry.name}")',
            f"tunable apply {entry.name} ",
        ]
        assert [text for text in said if text not in page.text] == []
    assert "0 to 50 sigma/255, default 25" in page.text
    assert "@latest" in page.text
    assert f"task {entries[0].manifest.task}" in page.text


def test_it_needs_nothing_but_its_folder(tmp_path: Path) -> None:
    path = write_gallery(tmp_path / "gallery", [bundled_store()])
    page = Page(path)
    addresses = [value for value in page.values("src") + page.values("href") if value != "data:,"]
    files = {address for address in addresses if not address.startswith("#")}
    assert files == {name for name in list_files(path.parent) if name != PAGE}
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
    [policy] = [value for value in page.values("content") if "default-src" in value]
    assert policy.startswith("default-src 'none'; img-src 'self' data:; style-src 'sha256-")
    assert "unsafe" not in policy
    for tag in ("script", "style"):  # by the hash that a browser computes
        [source] = re.findall(rf"<{tag}>(.*?)</{tag}>", path.read_text(encoding="utf-8"), re.DOTALL)
        assert gallery._hash_source(source) in policy
    for _, attrs in page.tags:
        assert not [name for name in attrs if name == "style" or name.startswith("on")]


def test_a_summary_without_tables_is_one(
    publish: Callable[..., Entry], make_network: Callable[..., TunableNetwork], store: Store, tmp_path: Path
) -> None:
    space = ControlSpace.simplex("sharp", Control(name="calm", default=0.5), "soft")
    summary = {"default": {"psnr": 31.23456}, "photographs": 4, "rows": [1, 2], "trunk": None}
    publish(make_network(space=space, scale=2), metrics={"summary": summary}, files={})
    page = Page(write_gallery(tmp_path / "gallery", [store]))
    assert "default.psnr 31.23 photographs 4" in page.text
    assert "rows" not in page.text
    assert "share a sum of 1" in page.text
    assert re.search(r"--set sharp=0\.\d+ calm=0\.\d+(?! soft)", page.text)
    assert "2 times as large as the input" in page.text
    assert list_files(tmp_path / "gallery") == [PAGE]
    entry = publish(make_network(), name="other", files={})
    malformed = entry.manifest.replace(metrics={"tables": "malformed"})
    assert gallery._list_tables(malformed) == []


def test_text_of_strangers_is_text(
    publish: Callable[..., Entry], make_network: Callable[..., TunableNetwork], store: Store, tmp_path: Path
) -> None:
    control = Control(name="denoise", description=HOSTILE, unit="<b>%</b>", metric=HOSTILE)
    table = {"title": HOSTILE, "columns": ["", HOSTILE], "rows": [[HOSTILE, HOSTILE]]}
    publish(
        make_network(space=ControlSpace.box(control)),
        description=HOSTILE,
        intended_use=[HOSTILE],
        limitations=[HOSTILE],
        license={"weights": HOSTILE, "data": HOSTILE, "note": HOSTILE},
        metrics={"tables": [table, table]},
        files={"preview.png": encode_png()},
    )
    path = write_gallery(tmp_path / "gallery", [store])
    page = Page(path)
    assert page.text.count(HOSTILE) == 16
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "https://example.org/x.png" not in page.values("src")


def test_a_folder_of_a_zoo(shared: RemoteZoo, pictured: Entry, tmp_path: Path) -> None:
    files = Path(shared.url)
    for record in pictured.manifest.files:  # not fetched, so not missed
        if record.path != "preview.png":
            (files / record.sha256).unlink()
    path = write_gallery(tmp_path / "gallery", shared)
    page = Page(path)
    assert "@latest @stable" in page.text
    assert 'zoo.load("tiny")' in page.text
    assert "tunable zoo add-source team FOLDER" in page.text
    assert str(tmp_path) not in path.read_text(encoding="utf-8")
    assert (path.parent / PREVIEWS / f"tiny-{pictured.version}.png").read_bytes() == encode_png()
    assert not shared.cache.root.exists()


@pytest.mark.server
def test_of_a_zoo_on_the_web_manifests_and_previews_are_fetched(
    shared: RemoteZoo, pictured: Entry, tmp_path: Path
) -> None:
    with serving() as server:
        server.files = {path.name: path.read_bytes() for path in Path(shared.url).iterdir() if path.is_file()}
        page = Page(write_gallery(tmp_path / "gallery", RemoteZoo(server.url, shared.cache)))
        asked = [path.lstrip("/") for path, _ in server.requests]
    [preview] = [record for record in pictured.manifest.files if record.path == "preview.png"]
    versions = json.loads(server.files["index.json"])["models"]["tiny"]["versions"]
    assert asked == ["index.json", versions[pictured.version]["sha256"], preview.sha256]
    assert f'zoo.load("{server.url}/tiny")' in page.text
    assert f"They are at {server.url}," in page.text


def test_passwords_stay_out() -> None:
    assert gallery._public_address(RemoteZoo("https://me:s3cr@t@host:80/a@b")) == "https://host:80/a@b"
    assert gallery._public_address(RemoteZoo("s3://bucket/zoo")) == "s3://bucket/zoo"


def test_what_is_deprecated_comes_last_with_its_reason(
    shared: RemoteZoo, publish: Callable[..., Entry], store: Store, tmp_path: Path
) -> None:
    for version in ("1.0.0", "1.1.0"):
        shared.push(zoo.promote("tiny", version, target=store, stores=[store]))
    shared.push(publish(name="wide", files={}))
    deprecate(Path(shared.url), "tiny", "1.1.0", reason="A <green> cast", replacement="wide@latest")
    deprecate(Path(shared.url), "tiny", "1.0.0", reason="Too small")
    page = Page(write_gallery(tmp_path / "gallery", shared))
    assert [attrs["id"] for tag, attrs in page.tags if tag == "article"] == ["wide", "tiny"]
    assert "Deprecated. A <green> cast Use wide@latest instead." in page.text
    assert "Other versions: 2 1.0.0, deprecated: Too small" in page.text
    assert "@stable" in page.text.partition("Other versions")[2]


def test_what_was_pulled_stays_deprecated(shared: RemoteZoo, tmp_path: Path) -> None:
    version = shared.deprecate("tiny", "latest", "Too small", replacement="wide")
    assert shared.pull("tiny", version).deprecated
    page = Page(write_gallery(tmp_path / "gallery", [shared.store]))
    assert "Deprecated. Too small Use wide instead." in page.text


def test_damaged_models_are_left_out(
    shared: RemoteZoo, publish: Callable[..., Entry], tmp_path: Path, store: Store
) -> None:
    shared.push(publish(name="wide", files={}))
    index = json.loads((Path(shared.url) / "index.json").read_text())
    [version] = index["models"]["wide"]["versions"].values()
    (Path(shared.url) / version["sha256"]).write_bytes(b"{}")
    with pytest.warns(UserWarning, match="wide is left out of the gallery"):
        page = Page(write_gallery(tmp_path / "gallery", shared))
    assert "wide" not in page.text
    assert "tiny" in page.text
    (store.open("wide").folder / "manifest.json").write_text("{}")
    with pytest.warns(UserWarning, match="wide is left out"):
        page = Page(write_gallery(tmp_path / "gallery", [store]))
    assert "wide" not in page.text


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"not really a picture", "expected a PNG"),
        (b"<svg onload='alert(1)'/>", "expected a PNG"),
        (encode_png()[:500], "cannot read"),
        (encode_png(61, 50), "expected at most 3,000 pixels"),
        (encode_png() + bytes(30_000), "expected at most 20,000 bytes"),
    ],
    ids=["text", "svg", "cut", "bomb", "large"],
)
def test_a_preview_that_cannot_be_shown_is_left_out(
    data: bytes,
    why: str,
    publish: Callable[..., Entry],
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gallery, "MAX_PREVIEW_PIXELS", 3000)
    monkeypatch.setattr(gallery, "MAX_PREVIEW_BYTES", 20_000)
    publish(files={"preview.png": data})
    with pytest.warns(UserWarning, match=f"tiny@.* is shown without its preview: .*{why}"):
        path = write_gallery(tmp_path / "gallery", [store])
    assert "A toy." in Page(path).text
    assert list_files(path.parent) == [PAGE]


def test_a_preview_that_was_changed_is_left_out(pictured: Entry, store: Store, tmp_path: Path) -> None:
    (pictured.folder / "preview.png").write_bytes(encode_png(30, 20))
    with pytest.warns(UserWarning, match="expected .* bytes, got"):
        path = write_gallery(tmp_path / "gallery", [store])
    assert list_files(path.parent) == [PAGE]
    (pictured.folder / "preview.png").unlink()
    with pytest.warns(UserWarning, match="without its preview"):
        write_gallery(tmp_path / "gallery", [store])


def test_large_previews_get_small_thumbnails(
    publish: Callable[..., Entry], store: Store, tmp_path: Path
) -> None:
    publish(files={"preview.png": encode_png(2000, 100)})
    page = Page(write_gallery(tmp_path / "gallery", [store]))
    [attrs] = [attrs for tag, attrs in page.tags if tag == "img"]
    assert (attrs["width"], attrs["height"]) == ("1600", "80")
    with Image.open(tmp_path / "gallery" / str(attrs["src"])) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (1600, 80))


def test_a_gallery_is_replaced_as_a_whole(pictured: Entry, store: Store, tmp_path: Path) -> None:
    target = tmp_path / "gallery"
    target.mkdir()  # empty
    first = write_gallery(target, [store])
    before = {name: (target / name).read_bytes() for name in list_files(target)}
    assert write_gallery(str(target), [store]) == first
    assert {name: (target / name).read_bytes() for name in list_files(target)} == before
    (tmp_path / "link").symlink_to(target)
    assert "No models here yet." in Page(write_gallery(tmp_path / "link", [])).text
    assert list_files(target) == [PAGE]
    assert (tmp_path / "link").is_symlink()
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".tmp")] == []


@pytest.mark.parametrize(
    "files",
    [
        {"notes.txt": b"mine"},
        {PAGE: b"<!doctype html><title>Mine</title>"},
        {PAGE: MARKER, "CNAME": b"example.org"},
        {PREVIEWS: b"mine"},
    ],
    ids=["another", "page", "beside", "pictures"],
)
def test_what_is_no_gallery_is_not_replaced(files: dict[str, bytes], store: Store, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.mkdir()
    for name, data in files.items():
        (target / name).write_bytes(data)
    with pytest.raises(zoo.ZooError, match="name another"):
        write_gallery(target, [store])
    assert {path.name: path.read_bytes() for path in target.iterdir()} == files


def test_a_file_is_not_replaced(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(zoo.ZooError, match="name another"):
        write_gallery(tmp_path / "file", [store])


def test_a_zoo_that_fails_leaves_what_was_there(tmp_path: Path, store: Store) -> None:
    page = write_gallery(tmp_path / "gallery", [store])
    before = page.read_bytes()
    with pytest.raises(zoo.FetchError):
        write_gallery(tmp_path / "gallery", RemoteZoo(str(tmp_path / "none")))
    assert page.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gallery"]


def test_the_marker_is_in_the_first_lines(tmp_path: Path) -> None:
    assert MARKER in write_gallery(tmp_path / "gallery", []).read_bytes()[:300]


@pytest.mark.server
def test_importing_the_zoo_brings_no_templates() -> None:
    command = [sys.executable, "-c", "import sys, zoo; print(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "zoo.gallery" in done.stdout.split()
    assert "jinja2" not in done.stdout.split()
