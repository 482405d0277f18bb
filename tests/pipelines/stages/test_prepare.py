import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.core.config import parse_section
from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.data.config import PrepareConfig
from pipelines.data.photos import PhotoSet
from pipelines.data.shards import ShardWriter
from pipelines.data.sources import decode_photo
from pipelines.stages.prepare import run

Prepare = Callable[..., dict[str, Any]]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A work tree without photographs."""
    return Layout(tmp_path / "repository")


@pytest.fixture
def photos(layout: Layout, save: Any) -> Path:
    """Seven photographs; ``a/0.png`` and ``b/0.png`` share a name, ``copy.jpg`` is ``1.png``."""
    folder = layout.root / "photos"
    for seed, name in enumerate(["a/0.png", "1.png", "2.png", "3.png", "b/0.png", "ü ber.png"]):
        save(folder / name, seed)
    save(folder / "copy.jpg", 1, 64, 80)
    return folder


@pytest.fixture
def prepare(layout: Layout) -> Prepare:
    def prepare(**values: Any) -> dict[str, Any]:
        options = {"source": "photos", "min_side_px": 16} | values
        run(parse_section(options, "prepare", PrepareConfig), layout)
        record: dict[str, Any] = json.loads((layout.prepare / "record.json").read_text("utf-8"))
        return record

    return prepare


def sides(layout: Layout) -> tuple[set[str], set[str]]:
    train, test = (PhotoSet.open(layout.prepare / side) for side in ("train", "test"))
    train.verify()
    test.verify()
    return set(train.names), set(test.names)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_every_photograph_is_on_one_side(photos: Path, layout: Layout, prepare: Prepare) -> None:
    record = prepare(test_photos=2)
    train, test = sides(layout)
    assert len(test) == record["test"]["count"] == 2
    assert train.isdisjoint(test)
    assert train | test == {str(f.relative_to(photos)) for f in photos.rglob("*.*")}
    files = [(layout.prepare / name).parent.name for name in contents(layout.prepare)]
    assert sorted(files) == ["prepare", "test", "test", "train", "train", "validation"]


def test_pixels_arrive_unchanged(photos: Path, layout: Layout, prepare: Prepare, paint: Any) -> None:
    prepare(test_photos=["3.png"])
    test = PhotoSet.open(layout.prepare / "test")
    np.testing.assert_array_equal(test[0], paint(3))


@pytest.mark.parametrize("seed", range(4))
def test_near_duplicates_stay_together(photos: Path, layout: Layout, prepare: Prepare, seed: int) -> None:
    record = prepare(test_photos=3, seed=seed)
    assert record["near_duplicates"] == [["1.png", "copy.jpg"]]
    _, test = sides(layout)
    assert len(test & {"1.png", "copy.jpg"}) in {0, 2}


def test_a_named_photograph_takes_its_copy_along(photos: Path, layout: Layout, prepare: Prepare) -> None:
    prepare(test_photos=["1.png"])
    assert sides(layout)[1] == {"1.png", "copy.jpg"}


def test_an_exact_duplicate_may_be_named_for_the_one_that_is_kept(
    photos: Path, layout: Layout, prepare: Prepare, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(photos / "3.png", photos / "again.png")
    record = prepare(test_photos=["again.png"], validation_photos=["2.png"])
    assert record["source"]["duplicates"] == {"again.png": "3.png"}
    assert sides(layout)[1] == {"3.png"}
    assert "1 exact duplicates" in capsys.readouterr().out


def test_a_test_source_leaves_its_copies_out_of_training(
    photos: Path, layout: Layout, prepare: Prepare, save: Any
) -> None:
    save(layout.root / "exam" / "x.png", 1, 64, 80)
    record = prepare(test_source="exam")
    assert record["near_duplicates_of_test"] == {"1.png": "x.png", "copy.jpg": "x.png"}
    train, test = sides(layout)
    assert test == {"x.png"}
    assert len(train) == 5
    assert train.isdisjoint({"1.png", "copy.jpg"})


def test_the_same_photographs_for_both_are_an_error(photos: Path, prepare: Prepare) -> None:
    with pytest.raises(DataError, match="photos"):
        prepare(test_source="photos")


def test_the_same_input_gives_the_same_bytes_anywhere(
    photos: Path, layout: Layout, prepare: Prepare, tmp_path: Path
) -> None:
    prepare(test_photos=2)
    elsewhere = Layout(tmp_path / "elsewhere")
    shutil.copytree(photos, elsewhere.root / "photos")
    run(PrepareConfig(source="photos", min_side_px=16, test_photos=2), elsewhere)
    assert contents(layout.prepare) == contents(elsewhere.prepare)
    assert str(tmp_path).encode() not in contents(layout.prepare)["record.json"]


def test_data_sha256_follows_names_pixels_and_sides(photos: Path, prepare: Prepare, save: Any) -> None:
    hashes = [prepare(test_photos=["2.png"])["data_sha256"]]
    hashes.append(prepare(test_photos=["3.png"])["data_sha256"])
    (photos / "2.png").rename(photos / "two.png")
    hashes.append(prepare(test_photos=["3.png"])["data_sha256"])
    save(photos / "two.png", 99)
    hashes.append(prepare(test_photos=["3.png"])["data_sha256"])
    assert len(set(hashes)) == 4
    assert prepare(test_photos=["3.png"], seed=5)["data_sha256"] == hashes[-1]


def test_the_record_says_what_was_left_out(
    photos: Path, prepare: Prepare, save: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.png").write_bytes(b"no picture")
    save(photos / "tiny.png", 8, 4, 4)
    record = prepare(max_unreadable_fraction=0.2)
    assert record["source"]["unreadable"] == ["broken.png"]
    assert record["source"]["too_small"] == ["tiny.png"]
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        "prepare: 6 photographs for training, 1 for test; skipped: 0 exact duplicates, 1 unreadable, "
        "1 too small, 0 near duplicates of a test photograph; in artifacts/prepare"
    )


def test_sizes_are_recorded(photos: Path, prepare: Prepare) -> None:
    record = prepare(test_photos=["1.png"])
    assert record["test"]["photos"] == [
        {"name": "1.png", "height": 32, "width": 40},
        {"name": "copy.jpg", "height": 64, "width": 80},
    ]


def test_the_licence_is_carried(photos: Path, prepare: Prepare) -> None:
    assert prepare()["license"] == "not stated"
    assert prepare(license="CC0")["license"] == "CC0"


def test_an_error_keeps_the_earlier_artefact(photos: Path, layout: Layout, prepare: Prepare) -> None:
    prepare()
    before = contents(layout.prepare)
    with pytest.raises(DataError, match="test_photos"):
        prepare(test_photos=["nobody.png"])
    assert contents(layout.prepare) == before
    assert list(layout.prepare.parent.iterdir()) == [layout.prepare]


def test_one_photograph_is_an_error(layout: Layout, prepare: Prepare, save: Any) -> None:
    save(layout.root / "photos" / "a.png", 0)
    with pytest.raises(DataError, match="got 1"):
        prepare()


def test_a_folder_outside_the_repository_is_recorded_as_given(
    photos: Path, prepare: Prepare, tmp_path: Path
) -> None:
    photos.rename(tmp_path / "outside")
    assert prepare(source=str(tmp_path / "outside"))["source"]["source"] == str(tmp_path / "outside")
    assert prepare(source="../outside")["source"]["source"] == "../outside"


def test_a_stereo_pair_never_straddles_the_split(layout: Layout, prepare: Prepare) -> None:
    pytest.importorskip("skimage")
    record = prepare(source="skimage", test_photos=["motorcycle_left.png"])
    train, test = sides(layout)
    assert test == {"motorcycle_left.png", "motorcycle_right.png"}
    assert train == {"astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"}
    assert record["license"] == (
        "astronaut.png: public domain (NASA); chelsea.png: CC0 (Stefan van der Walt); "
        "coffee.png: CC0 (Rachel Michetti); rocket.jpg: public domain (SpaceX)"
    )


def test_rotation_in_exif_is_applied(photos: Path, layout: Layout, prepare: Prepare) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), "red").save(photos / "turned.jpg", exif=exif)
    prepare(test_photos=["turned.jpg"])
    assert PhotoSet.open(layout.prepare / "test")[0].shape == (40, 20, 3)


def three_sides(layout: Layout) -> list[set[str]]:
    photos = [PhotoSet.open(layout.prepare / side) for side in ("train", "validation", "test")]
    for side in photos:
        side.verify()
    return [set(side.names) for side in photos]


@pytest.mark.parametrize("seed", range(4))
def test_validation_is_a_side_of_its_own(photos: Path, layout: Layout, prepare: Prepare, seed: int) -> None:
    record = prepare(test_photos=2, validation_photos=2, seed=seed)
    train, validation, test = three_sides(layout)
    assert (len(train), len(validation), len(test)) == (3, 2, 2)
    assert len(train | validation | test) == 7
    for side in (train, validation, test):  # near duplicates stay together
        assert len(side & {"1.png", "copy.jpg"}) in {0, 2}
    assert record["validation"]["count"] == 2


def test_validation_photographs_may_be_named(
    photos: Path, layout: Layout, prepare: Prepare, paint: Any
) -> None:
    prepare(test_photos=["3.png"], validation_photos=["1.png"])
    assert three_sides(layout)[1] == {"1.png", "copy.jpg"}
    np.testing.assert_array_equal(PhotoSet.open(layout.prepare / "validation")[0], paint(1))


def test_a_test_photograph_cannot_be_watched(photos: Path, prepare: Prepare) -> None:
    with pytest.raises(DataError, match=r"copy\.jpg"):
        prepare(test_photos=["1.png"], validation_photos=["copy.jpg"])


def test_validation_beside_a_test_source(photos: Path, layout: Layout, prepare: Prepare, save: Any) -> None:
    save(layout.root / "exam" / "x.png", 1, 64, 80)
    prepare(test_source="exam", validation_photos=2)
    train, validation, test = three_sides(layout)
    assert test == {"x.png"}
    assert (len(train), len(validation)) == (3, 2)
    assert (train | validation).isdisjoint({"1.png", "copy.jpg"})


def test_without_validation_the_side_is_empty(photos: Path, layout: Layout, prepare: Prepare) -> None:
    prepare()
    assert len(PhotoSet.open(layout.prepare / "validation")) == 0


def test_training_photographs_are_written_once(
    photos: Path, layout: Layout, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Counter[str]()
    add = ShardWriter.add

    def counted(self: ShardWriter, name: str, rgb: Any) -> None:
        written[name] += 1
        add(self, name, rgb)

    monkeypatch.setattr(ShardWriter, "add", counted)
    prepare(test_photos=2, validation_photos=2)
    train, validation, test = three_sides(layout)
    assert {written[name] for name in train} == {1}
    assert {written[name] for name in validation | test} == {2}


def test_nothing_is_decoded_twice(
    photos: Path, layout: Layout, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = Counter[Path]()

    def counted(content: Path, limit: int | None) -> Any:
        decoded[content] += 1
        return decode_photo(content, limit)

    monkeypatch.setattr("pipelines.data.decoding.decode_photo", counted)
    prepare(test_photos=2, validation_photos=2)
    assert set(decoded.values()) == {1}
    assert len(decoded) == 7


def test_an_upload_that_fails_keeps_the_earlier_artefact(
    photos: Path, layout: Layout, prepare: Prepare, tmp_path: Path
) -> None:
    prepare()
    before = contents(layout.prepare)
    (tmp_path / "full").write_text("no folder")
    with pytest.raises(DataError, match="NotADirectoryError"):
        prepare(destination=(tmp_path / "full").as_uri())
    assert contents(layout.prepare) == before


def test_pixels_at_a_url_make_the_same_training_set(
    photos: Path, layout: Layout, prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNABLE_CACHE", str(tmp_path / "cache"))
    here = prepare(test_photos=2)
    kept = [rgb.copy() for rgb in PhotoSet.open(layout.prepare / "train")]
    assert prepare(test_photos=2, destination=(tmp_path / "far").as_uri()) == here
    for got, wanted in zip(PhotoSet.open(layout.prepare / "train"), kept, strict=True):
        np.testing.assert_array_equal(got, wanted)
