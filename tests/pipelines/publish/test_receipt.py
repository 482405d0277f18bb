from pathlib import Path

import pytest

import zoo
from pipelines.publish.receipt import WorkTreeStore, read_receipt, write_receipt
from published import EDSR, publish_small
from tunable_models import ControlSpace

SPACE = ControlSpace.box("denoise", "deblur")


@pytest.fixture
def entries(tmp_path: Path) -> list[zoo.Entry]:
    """Two versions of one model, the second one published last."""
    return [publish_small(tmp_path / "store", SPACE, {**EDSR, "width": width}) for width in (4, 6)]


@pytest.fixture
def store(tmp_path: Path, entries: list[zoo.Entry]) -> WorkTreeStore:
    write_receipt(tmp_path / "receipt.json", entries[0])
    return WorkTreeStore(tmp_path / "store", tmp_path / "receipt.json")


def test_by_its_name_a_model_is_the_entry_of_the_receipt(
    store: WorkTreeStore, entries: list[zoo.Entry]
) -> None:
    name = entries[0].name
    assert zoo.resolve(name, [zoo.Store(store.root)]) == entries[1]
    assert zoo.resolve(name, [store]) == zoo.resolve(f"{name}@latest", [store]) == entries[0]
    assert zoo.resolve(f"{name}@{entries[1].version}", [store]) == entries[1]
    assert zoo.list_models(stores=[store]) == [entries[0]]
    assert sorted(store.versions(name)) == sorted(entry.version for entry in entries)


def test_a_missing_one_is_never_another(
    store: WorkTreeStore, entries: list[zoo.Entry], tmp_path: Path
) -> None:
    others = tmp_path / "others"
    publish_small(others, SPACE, {**EDSR, "width": 8})
    entries[0].folder.rename(tmp_path / "gone")
    for ref in (entries[0].name, f"{entries[0].name}@{entries[0].version}"):
        with pytest.raises(zoo.EntryNotFoundError, match="tunable run publish"):
            zoo.resolve(ref, [store, zoo.Store(others)])
    with pytest.warns(UserWarning, match="tunable run publish"):
        zoo.list_models(stores=[store])
    assert zoo.resolve(f"{entries[0].name}@{entries[1].version}", [store]) == entries[1]


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"name": 3'])
def test_without_a_receipt_it_is_a_store_like_others(
    tmp_path: Path, entries: list[zoo.Entry], text: str | None
) -> None:
    receipt = tmp_path / "none.json"
    if text is not None:
        receipt.write_text(text)
    assert read_receipt(receipt) is None
    assert zoo.resolve(entries[1].name, [WorkTreeStore(tmp_path / "store", receipt)]) == entries[1]
