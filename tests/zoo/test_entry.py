import json
from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.entry import Entry
from zoo.errors import IntegrityError, ManifestError
from zoo.manifest import WEIGHTS


def test_contents_are_all_the_files(entry: Entry) -> None:
    contents = Entry.open(entry.folder).contents()
    assert sorted(contents) == ["README.md", WEIGHTS, "preview.png"]
    assert contents["preview.png"] == b"not really a picture"


@pytest.mark.parametrize("name", ["README.md", WEIGHTS, "preview.png"])
def test_one_flipped_bit_is_found(entry: Entry, name: str) -> None:
    path = entry.folder / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=f"{name}: expected SHA-256"):
        entry.contents()


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"junk", lambda data: b""])
def test_another_size_is_found(entry: Entry, change: Callable[[bytes], bytes]) -> None:
    path = entry.folder / WEIGHTS
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(IntegrityError, match=r"expected \d+ bytes"):
        entry.contents()


def test_a_missing_file_is_named(entry: Entry) -> None:
    (entry.folder / "preview.png").unlink()
    with pytest.raises(IntegrityError, match=r"lacks preview\.png"):
        entry.contents()


def test_a_stray_file_is_named(entry: Entry) -> None:
    (entry.folder / "model.pkl").write_bytes(b"x")
    with pytest.raises(IntegrityError, match=r"not in its manifest: model\.pkl"):
        entry.contents()


def test_a_link_is_refused_even_to_the_right_bytes(entry: Entry, tmp_path: Path) -> None:
    path = entry.folder / "preview.png"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match="regular file"):
        entry.contents()


def test_a_folder_is_no_file(entry: Entry) -> None:
    path = entry.folder / "preview.png"
    path.unlink()
    path.mkdir()
    with pytest.raises(IntegrityError, match="regular file"):
        entry.contents()


def test_a_file_that_vanishes_meanwhile(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Entry, "_refuse_strays", lambda self: (self.folder / WEIGHTS).unlink())
    with pytest.raises(IntegrityError, match="was removed while"):
        entry.contents()


def test_an_edited_manifest_is_found(entry: Entry) -> None:
    path = entry.folder / "manifest.json"
    values = json.loads(path.read_bytes())
    values["license"]["weights"] = "MIT"
    path.write_text(json.dumps(values))
    with pytest.raises(IntegrityError, match="it was edited"):
        Entry.open(entry.folder)


def test_a_folder_without_manifest_is_no_entry(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="regular file"):
        Entry.open(tmp_path)
