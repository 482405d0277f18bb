import json
import shutil
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from PIL import Image

from file_server import Fault, FileServer, serving
from pipelines.core.config import parse_section
from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.data.config import PrepareConfig
from pipelines.data.photos import PhotoSet
from pipelines.data.public_sets import SETS, fetch_photos, find_set
from pipelines.stages.prepare import run
from waiting import UNREACHED_S
from zoo.remote.download import download

pytestmark = pytest.mark.server


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is slow because the machine is busy is not asked again."""
    patient = partial(download, timeout_s=(UNREACHED_S, UNREACHED_S))
    monkeypatch.setattr("pipelines.data.public_sets.download", patient)


@pytest.fixture
def server(paint: Any) -> Iterator[FileServer]:
    """A mirror: Kodak's files, and DIV2K's archives with two photographs each."""
    with serving() as server:
        for number in range(1, 25):
            server.files[f"kodak/kodim{number:02d}.png"] = png(paint(number))
        server.files["div2k/DIV2K_train_HR.zip"] = packed(
            {f"DIV2K_train_HR/000{i}.png": png(paint(50 + i)) for i in (1, 2)}
        )
        server.files["div2k/DIV2K_valid_HR.zip"] = packed(
            {f"DIV2K_valid_HR/080{i}.png": png(paint(60 + i)) for i in (1, 2)}
        )
        yield server


def png(pixels: Any) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def packed(files: dict[str, bytes]) -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def names(source: str, layout: Layout, server: FileServer) -> list[str]:
    wanted = find_set(source)
    assert wanted is not None
    return [name for name, _ in fetch_photos(wanted, layout, server.url)]


def recorded(layout: Layout) -> dict[str, str]:
    known: dict[str, str] = json.loads(layout.sets.read_text())
    return known


def prepare(layout: Layout, server: FileServer, **values: Any) -> dict[str, Any]:
    options = {"min_side_px": 16, "mirror": server.url} | values
    run(parse_section(options, "prepare", PrepareConfig), layout)
    record: dict[str, Any] = json.loads((layout.prepare / "record.json").read_text("utf-8"))
    return record


def test_every_set_says_where_it_is_and_on_which_terms() -> None:
    for known in SETS:
        assert known.url.startswith("https://")
        assert known.license
        assert find_set(known.name) is not None
        for part in known.parts:
            assert part.files
            assert (len(part.files) == 1) == (part.inside is not None)
    assert [known.name for known in SETS] == ["kodak", "bsds500", "div2k"]


@pytest.mark.parametrize("source", ["skimage", "./kodak", "data/photos", "/kodak", "photos/kodak"])
def test_other_places_are_no_sets(source: str) -> None:
    assert find_set(source) is None


def test_an_unknown_part_is_an_error() -> None:
    with pytest.raises(DataError, match="div2k/train, div2k/valid"):
        find_set("div2k/test")
    with pytest.raises(DataError, match="kodak/train"):
        find_set("kodak/train")


def test_photographs_are_downloaded_once_and_recorded(layout: Layout, server: FileServer) -> None:
    for _ in range(2):
        assert names("kodak", layout, server) == [f"kodim{number:02d}.png" for number in range(1, 25)]
    assert len(server.requests) == 24
    assert recorded(layout) == {
        name: sha256(data).hexdigest() for name, data in server.files.items() if "kodak" in name
    }
    before = layout.sets.read_bytes()
    shutil.rmtree(layout.downloads)
    names("kodak", layout, server)
    assert layout.sets.read_bytes() == before


def test_an_archive_is_unpacked_once(layout: Layout, server: FileServer) -> None:
    assert names("div2k/train", layout, server) == ["0001.png", "0002.png"]
    (layout.downloads / "div2k" / "DIV2K_train_HR.zip").unlink()  # no longer needed
    assert names("div2k", layout, server) == [
        "train/0001.png",
        "train/0002.png",
        "valid/0801.png",
        "valid/0802.png",
    ]
    assert [path for path, _ in server.requests] == ["/div2k/DIV2K_train_HR.zip", "/div2k/DIV2K_valid_HR.zip"]


def test_a_clone_requires_what_was_recorded(layout: Layout, server: FileServer) -> None:
    names("div2k/train", layout, server)
    shutil.rmtree(layout.downloads)
    server.files["div2k/DIV2K_train_HR.zip"] = packed({"DIV2K_train_HR/0001.png": b"other"})
    for _ in range(2):
        with pytest.raises(DataError, match=r"data/sets\.json"):
            names("div2k/train", layout, server)
    layout.sets.unlink()
    assert names("div2k/train", layout, server) == ["0001.png"]


def test_what_is_no_archive_is_not_recorded(layout: Layout, server: FileServer) -> None:
    server.faults = [Fault(body=b"<html>Please log in")]
    with pytest.raises(DataError, match=r"DIV2K_train_HR\.zip"):
        names("div2k/train", layout, server)
    assert not layout.sets.exists()


@pytest.mark.parametrize(
    "fault", [Fault(cut=600, headers={"Content-Length": ""}), Fault(body=b"Please log in")]
)
def test_what_is_no_whole_picture_is_not_recorded(layout: Layout, server: FileServer, fault: Fault) -> None:
    server.faults = [fault]
    for _ in range(2):
        with pytest.raises(DataError, match=r"kodim01\.png"):
            names("kodak", layout, server)
    assert not layout.sets.exists()
    (layout.downloads / "kodak" / "kodim01.png").unlink()
    names("kodak", layout, server)
    assert recorded(layout)["kodak/kodim01.png"] == sha256(server.files["kodak/kodim01.png"]).hexdigest()


def test_a_record_that_is_damaged_is_an_error(layout: Layout, server: FileServer) -> None:
    layout.sets.parent.mkdir(parents=True)
    for text in ('{"kodak', "[]", '{"kodak/kodim01.png": 3}'):
        layout.sets.write_text(text)
        with pytest.raises(DataError, match=r"sets\.json"):
            names("kodak", layout, server)


def test_a_missing_file_is_an_error(layout: Layout, server: FileServer) -> None:
    del server.files["kodak/kodim07.png"]
    with pytest.raises(DataError, match="404"):
        names("kodak", layout, server)


def test_sets_become_sides(layout: Layout, server: FileServer, paint: Any) -> None:
    record = prepare(
        layout, server, source="div2k", test_source="kodak", validation_photos=["valid/0801.png"]
    )
    assert record["source"]["source"] == "div2k"
    assert record["license"].startswith("DIV2K: academic research only")
    assert PhotoSet.open(layout.prepare / "train").names == [
        "train/0001.png",
        "train/0002.png",
        "valid/0802.png",
    ]
    assert PhotoSet.open(layout.prepare / "validation").names == ["valid/0801.png"]
    test = PhotoSet.open(layout.prepare / "test")
    assert len(test) == 24
    assert (test[0] == paint(1)).all()


def test_a_folder_of_that_name_is_reached_by_its_path(layout: Layout, server: FileServer, save: Any) -> None:
    for seed in range(3):
        save(layout.root / "kodak" / f"{seed}.png", seed)
    assert prepare(layout, server, source="./kodak")["source"]["files"] == 3
    assert server.requests == []


def test_nothing_leaves_the_folder_of_downloads(layout: Layout, server: FileServer) -> None:
    names("div2k", layout, server)
    made = {path.relative_to(layout.root).parts[:3] for path in layout.root.rglob("*") if path.is_file()}
    assert made <= {
        (".state", "downloads", "div2k"),
        (".state", "downloads", ".sets.lock"),
        ("data", "sets.json"),
    }
    assert isinstance(layout.downloads, Path)
