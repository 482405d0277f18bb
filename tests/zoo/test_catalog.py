import os
from collections.abc import Callable
from pathlib import Path

import pytest

import zoo
from zoo.catalog import bundled_store, default_stores, list_models, resolve, user_store, verify
from zoo.entry import Entry
from zoo.errors import EntryNotFoundError, IntegrityError, ManifestError
from zoo.manifest import WEIGHTS
from zoo.storage import Store


def test_default_stores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TUNABLE_ZOO_STORE", str(tmp_path))
    assert default_stores() == [bundled_store(), Store(tmp_path)]
    assert bundled_store().root == Path(zoo.__file__).parent / "entries"
    monkeypatch.delenv("TUNABLE_ZOO_STORE")
    assert user_store().root.parts[-2:] == ("tunable-zoo", "entries")


def test_bundled_entries_are_sound() -> None:
    store = bundled_store()
    for name in store.names():
        for version in store.versions(name):
            verify(f"{name}@{version}", [store])


def test_every_form_of_reference(entry: Entry, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.alias("tiny", "stable", entry.version)
    monkeypatch.chdir(entry.folder.parent)
    for ref in (
        "tiny",
        f"tiny@{entry.version}",
        "tiny@latest",
        "tiny@stable",
        entry.folder,
        str(entry.folder),
        f"./{entry.version}",
        Path(entry.version),
    ):
        assert resolve(ref, [store]).manifest == entry.manifest


def test_stores_are_asked_in_order(publish: Callable[..., Entry], tmp_path: Path) -> None:
    one, two = (publish(store=Store(tmp_path / name), description=name) for name in ("one", "two"))
    stores = [Store(tmp_path / "none"), Store(tmp_path / "one"), Store(tmp_path / "two")]
    assert resolve("tiny", stores) == one
    assert resolve(f"tiny@{two.version}", stores) == two


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("tinny", "did you mean 'tiny'"),
        ("zebra", "there are tiny"),
        ("tiny@9.9.9", "tiny has [0-9a-f]{16}, latest"),
        ("tiny@../x", "no entry"),
        ("Tiny", "expected a name"),
        ("../tiny", "expected a name"),
        ("", "expected a name"),
    ],
)
def test_a_reference_to_nothing_says_what_there_is(
    entry: Entry, store: Store, ref: str, message: str
) -> None:
    with pytest.raises(EntryNotFoundError, match=message):
        resolve(ref, [store])


def test_a_folder_that_looks_like_a_name(
    entry: Entry, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entry.folder.rename(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EntryNotFoundError, match=r"write '\./mine'"):
        resolve("mine", [store])
    assert resolve("./mine", [store]).name == "tiny"


def test_list_models(publish: Callable[..., Entry], store: Store) -> None:
    publish(name="b")
    a = publish(name="a", task="deblur")
    assert [entry.name for entry in list_models(stores=[store])] == ["a", "b"]
    assert list_models("deblur", [store]) == [a]
    assert list_models("video", [store]) == []


def test_the_first_store_gives_a_name_its_meaning(publish: Callable[..., Entry], tmp_path: Path) -> None:
    stores = [Store(tmp_path / "one"), Store(tmp_path / "two")]
    entries = [publish(store=store, description=store.root.name) for store in stores]
    assert list_models(stores=stores) == entries[:1]


def test_a_damaged_entry_does_not_hide_the_others(publish: Callable[..., Entry], store: Store) -> None:
    good, bad = publish(name="good"), publish(name="bad")
    (bad.folder / "manifest.json").write_bytes(b"{")
    with pytest.warns(UserWarning, match="bad is left out"):
        assert list_models(stores=[store]) == [good]


def test_verify_reports(entry: Entry, store: Store) -> None:
    report = verify("tiny", [store])
    assert report.entry == entry
    assert [record.path for record in report.files] == ["README.md", WEIGHTS, "preview.png"]
    assert report.parameters > 1000


def test_verify_finds_a_stray_file(entry: Entry) -> None:
    (entry.folder / "extra.py").write_text("")
    with pytest.raises(IntegrityError, match=r"extra\.py"):
        verify(entry.folder)


def test_a_manifest_that_is_a_link(entry: Entry, tmp_path: Path) -> None:
    path = entry.folder / "manifest.json"
    path.rename(tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", path)
    with pytest.raises(ManifestError, match="regular file"):
        verify(entry.folder)
