import errno
import io
import multiprocessing
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from torch.utils.data import DataLoader

import zoo
import zoo.mapper
from full_disk import full
from picture_files import noise, png
from pipelines.core.ray_cluster import ray_cluster
from tunable_models import OmegaError
from waiting import wait_until
from zoo.durable import TEMPORARY
from zoo.entry import Entry
from zoo.errors import EntryNotFoundError, ImageError, IntegrityError
from zoo.mapper import CACHED_MODELS, Mapper, find_model
from zoo.predictor import Predictor
from zoo.remote.remote_zoo import RemoteZoo

ROOT = Path(__file__).parents[2]
SIDE = 32
BRIGHT = {"denoise": 0.25, "sigma": 40.0}


@pytest.fixture(autouse=True)
def fresh() -> None:
    """No model of an earlier test."""
    zoo.mapper._load_model.cache_clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Six pictures in a folder and in one below it."""
    folder = tmp_path / "photos"
    (folder / "night").mkdir(parents=True)
    for index, name in enumerate(("a.png", "b.png", "c.png", "night/a.png", "night/d.png", "night/e.png")):
        Image.fromarray(pixels(index)).save(folder / name)
    return folder


@pytest.fixture
def mapper(entry: Entry, source: Path, tmp_path: Path) -> Mapper:
    """One that writes files."""
    return Mapper(entry.folder, BRIGHT, source=source, output=tmp_path / "restored")


def pixels(seed: int, *shape: int, dtype: str = "uint8") -> np.ndarray:
    random = np.random.default_rng(seed).random((*(shape or (SIDE, SIDE)), 3))
    return random.astype(dtype) if dtype[0] == "f" else (random * np.iinfo(dtype).max).astype(dtype)


def as_objects(arrays: list[Any]) -> np.ndarray:
    column = np.empty(len(arrays), dtype=object)
    for number, array in enumerate(arrays):
        column[number] = array
    return column


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# Pixels.


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [0, 1, 3, 4])
def test_an_array_of_pictures(entry: Entry, predictor: Predictor, dtype: str, channels: int) -> None:
    column = pixels(0, 2, 9, 11, dtype=dtype)
    column = (
        np.concatenate([column, column[..., :1]], axis=-1)[..., :channels] if channels else column[..., 0]
    )
    made = Mapper(entry.folder, **BRIGHT)({"image": column})
    assert (made["image"].shape, made["image"].dtype) == (column.shape, column.dtype)
    for restored, picture in zip(made["image"], column, strict=True):
        assert np.array_equal(restored, predictor(picture, BRIGHT))


def test_pictures_of_several_sizes_and_kinds(entry: Entry, predictor: Predictor) -> None:
    pictures = [pixels(0, 5, 7), pixels(1, 8, 6, dtype="uint16")[..., 0], pixels(2, 5, 7)]
    made = Mapper(entry.folder)({"image": as_objects(pictures)})["image"]
    assert made.dtype == object
    for restored, picture in zip(made, pictures, strict=True):
        assert np.array_equal(restored, predictor(picture))


def test_contents_of_files_are_upright_and_at_their_depth(entry: Entry, predictor: Predictor) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned, deep = io.BytesIO(), png(noise(3))
    Image.fromarray(pixels(0, 6, 8)).save(turned, "PNG", exif=exif)
    made = Mapper(entry.folder, BRIGHT)({"bytes": [turned.getvalue(), deep], "name": ["a", "b"]})
    assert made.keys() == {"image", "name"}
    first, second = made["image"]
    assert np.array_equal(first, predictor(zoo.read_picture(turned.getvalue()), BRIGHT).pixels)
    assert first.shape == (8, 6, 3)
    assert np.array_equal(second, predictor(noise(3), BRIGHT))
    assert second.dtype == np.uint16


def test_paths_are_read(entry: Entry, predictor: Predictor, source: Path) -> None:
    made = Mapper(entry.folder, BRIGHT)({"path": [str(source / "a.png"), source / "b.png"]})
    assert made.keys() == {"image", "path"}
    for number, restored in enumerate(made["image"]):
        assert np.array_equal(restored, predictor(pixels(number), BRIGHT))


def test_columns_named_like_sliders_are_settings_of_each(entry: Entry, predictor: Predictor) -> None:
    column, sigmas = np.stack([pixels(0), pixels(0)]), np.array([0, 50], np.int64)
    batch = {"image": column, "sigma": sigmas, "label": np.array(["x", "y"])}
    made = Mapper(entry.folder, denoise=0.25, sigma=10)(batch)
    assert made["sigma"] is sigmas
    assert list(made["label"]) == ["x", "y"]
    for restored, sigma in zip(made["image"], (0, 50), strict=True):
        assert np.array_equal(restored, predictor(pixels(0), denoise=0.25, sigma=sigma))
    assert np.array_equal(batch["image"], column)


def test_scale_and_batches_without_pictures(enlarging: Predictor, store: zoo.Store) -> None:
    mapper = Mapper(store.open("enlarging").folder)
    assert mapper({"image": np.zeros((2, 4, 6, 3), np.uint8)})["image"].shape == (2, 8, 12, 3)
    assert len(mapper({"image": np.zeros((0, 4, 6, 3), np.uint8)})["image"]) == 0


@pytest.mark.parametrize(
    ("batch", "error", "words"),
    [
        ({}, ImageError, "column image, bytes or path, got none"),
        ({"item": [1]}, ImageError, "got item"),
        ({"bytes": [b"", b"broken"], "path": ["x", "y"]}, ImageError, "^x: cannot read"),
        ({"path": ["nowhere.png"]}, ImageError, "^cannot read nowhere.png"),
        ({"image": [pixels(0), [[0]]]}, ImageError, "^picture 1 of the batch: expected.*got list"),
        ({"image": [pixels(0)], "sigma": [51.0]}, OmegaError, "^picture 0 of the batch: sigma: expected"),
        ({"image": [pixels(0)], "sigma": [None]}, OmegaError, "number, got None"),
    ],
)
def test_what_is_no_picture_is_named(
    entry: Entry, batch: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        Mapper(entry.folder)(batch)


# The mapper itself.


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"denoize": 0.5}, OmegaError, "did you mean 'denoise'"),
        ({"denoise": 1.5}, OmegaError, "0 to 1"),
        ({"values": [0.5]}, OmegaError, "settings by name"),
        ({"source": "photos"}, ImageError, "output=None; give both"),
        ({"output": "photos"}, ImageError, "source=None"),
        ({"format": "png"}, ImageError, "source=None"),
        ({"source": "photos", "output": "./photos"}, ImageError, "choose another output"),
        ({"source": "photos", "output": "restored", "format": ".gif"}, ImageError, "got '.gif'"),
    ],
)
def test_options_are_checked_at_once(
    entry: Entry, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        Mapper(entry.folder, **options)


def test_an_unknown_entry_is_an_error_at_once() -> None:
    with pytest.raises(EntryNotFoundError, match="did you mean 'denoise'"):
        Mapper("denoize")


def test_a_pickle_has_no_model_and_does_not_depend_on_the_current_folder(
    entry: Entry, predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = entry.folder.relative_to(tmp_path)
    for ref in (relative, str(relative)):
        mapper = Mapper(ref, BRIGHT, source="photos", output="restored")
        mapper({"path": ["photos/a.png"]})
        data = pickle.dumps(mapper)
        assert len(data) < 5000
        monkeypatch.chdir(source)
        other = pickle.loads(data)
        assert other({"path": [str(source / "b.png")]})["error"] == [""]
        monkeypatch.chdir(tmp_path)
    assert names(tmp_path / "restored") == ["a.png", "b.png"]


def test_a_process_loads_a_model_once(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[object] = []

    def load(ref: object, **options: Any) -> Predictor:
        loaded.append(ref)
        return zoo.load(entry.folder, **options)

    monkeypatch.setattr(zoo.mapper, "load", load)
    mappers = [Mapper(entry.folder, denoise=value / 8) for value in range(8)]
    assert not loaded
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda mapper: mapper({"image": [pixels(0)]})["image"][0], mappers * 4))
    assert loaded == [str(entry.folder)]
    for number, restored in enumerate(made):
        assert np.array_equal(restored, zoo.load(entry.folder)(pixels(0), denoise=number % 8 / 8))

    for number in range(CACHED_MODELS):
        find_model(str(number), entry.version, "cpu", "torch", "float32")
    assert len(loaded) == 1 + CACHED_MODELS
    mappers[0]({"image": [pixels(0)]})  # forgotten by now
    assert len(loaded) == 2 + CACHED_MODELS

    monkeypatch.setattr(os, "getpid", lambda: 1)  # a fork
    mappers[0]({"image": [pixels(0)]})
    assert len(loaded) == 3 + CACHED_MODELS


@pytest.mark.slow
def test_workers_of_a_data_loader(entry: Entry, predictor: Predictor) -> None:
    batches = [{"image": np.stack([pixels(n), pixels(n + 1)]), "sigma": [0.0, 50.0]} for n in range(0, 6, 2)]
    loader = DataLoader(
        batches,  # type: ignore[arg-type]
        batch_size=None,
        collate_fn=Mapper(entry.folder, denoise=0.25),
        num_workers=2,
        multiprocessing_context=multiprocessing.get_context("spawn"),
    )
    seen = 0
    for made in loader:
        for restored, sigma in zip(made["image"], (0, 50), strict=True):
            # Workers compute on one thread.
            wanted = predictor(pixels(seen), denoise=0.25, sigma=sigma).astype(int)
            assert abs(restored.astype(int) - wanted).max() <= 1
            seen += 1
    assert seen == 6


# Files.


def test_results_are_files_in_the_same_places(mapper: Mapper, predictor: Predictor, source: Path) -> None:
    paths = mapper.list_missing()
    assert [os.path.relpath(path, source) for path in paths] == [
        "a.png", "b.png", "c.png", "night/a.png", "night/d.png", "night/e.png",
    ]  # fmt: skip
    made = mapper({"path": paths, "sigma": [40.0, 0.0, 40.0, 40.0, 40.0, 40.0]})
    assert made.keys() == {"path", "sigma", "output", "error"}
    output = source.with_name("restored")
    assert [os.path.relpath(path, output) for path in made["output"]] == names(output) == names(source)
    assert list(made["error"]) == [""] * 6
    assert np.array_equal(zoo.read_picture(output / "a.png").pixels, predictor(pixels(0), BRIGHT))
    assert np.array_equal(
        zoo.read_picture(output / "b.png").pixels, predictor(pixels(1), denoise=0.25, sigma=0.0)
    )
    assert mapper.list_missing() == []


@pytest.mark.parametrize("kind", ["path", "bytes"])
def test_files_keep_depth_profile_metadata_and_pages(mapper: Mapper, source: Path, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0110] = "a camera"
    first, second = Image.fromarray(pixels(0)), Image.fromarray(pixels(1))
    options = {"icc_profile": b"a profile", "exif": exif}
    first.save(source / "scan.tif", save_all=True, append_images=[second], **options)
    (source / "deep.png").write_bytes(png(noise(3)))
    Image.fromarray(pixels(0)).save(source / "drawing.bmp")
    paths = [source / name for name in ("scan.tif", "deep.png", "drawing.bmp")]
    made = mapper({"path": [str(path) for path in paths], "bytes": [path.read_bytes() for path in paths]})
    assert list(made["error"]) == [""] * 3
    scan, deep, drawing = (Path(path) for path in made["output"])
    pages = zoo.read_pages(scan).pictures
    assert len(pages) == 2
    assert pages[0].profile == b"a profile"
    assert b"a camera" in pages[0].metadata.exif
    assert str(zoo.read_picture(deep).kind) == "16-bit RGB"
    assert drawing.name == "drawing.png"


def test_a_format_may_be_chosen(entry: Entry, source: Path, tmp_path: Path) -> None:
    Image.fromarray(pixels(0)).save(source / "old.JPG")
    for format in ("jpg", ".JPG"):
        mapper = Mapper(entry.folder, source=source, output=tmp_path / "restored", format=format)
        paths = [str(source / name) for name in ("a.png", "old.JPG", "night/d.png")]
        mapper({"path": paths})
        assert names(tmp_path / "restored") == ["a.jpg", "night/d.jpg", "old.JPG"]
    assert (tmp_path / "restored" / "a.jpg").read_bytes().startswith(b"\xff\xd8")


def test_a_picture_that_fails_does_not_stop_the_others(mapper: Mapper, source: Path, tmp_path: Path) -> None:
    (source / "b.png").write_bytes((source / "b.png").read_bytes()[:100])
    Image.fromarray(pixels(0)).save(tmp_path / "outside.png")
    paths = ["a.png", "b.png", "../outside.png", "night/../../outside.png", "nowhere.png", ".", "c.png"]
    made = mapper({"path": [f"{source}/{path}" for path in paths], "sigma": [1.0] * 6 + [51.0]})
    words = ["^$", "b.png", "below", "below", "No such file", "below", "sigma: expected 0 to 50"]
    for error, word in zip(made["error"], words, strict=True):
        assert re.search(word, error)
    assert list(made["output"]) == [str(tmp_path / "restored" / "a.png"), *[""] * 6]
    assert names(tmp_path / "restored") == ["a.png"]
    assert str(source / "b.png") in mapper.list_missing()


def test_a_full_disk_ends_the_work(mapper: Mapper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo.mapper, "replace_file", full)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        mapper({"path": mapper.list_missing()})


def test_pixels_and_contents_need_paths(mapper: Mapper, source: Path) -> None:
    with pytest.raises(ImageError, match="column path, got image"):
        mapper({"image": [pixels(0)]})
    made = mapper({"image": [pixels(0)], "path": [str(source / "new.png")]})
    assert (made["error"][0], made.keys()) == ("", {"path", "output", "error"})


def test_a_result_that_exists_is_kept(mapper: Mapper, source: Path, tmp_path: Path) -> None:
    kept = tmp_path / "restored" / "a.png"
    kept.parent.mkdir()
    kept.write_bytes(b"another program's")
    made = mapper({"path": [str(source / "a.png")]})
    assert (made["output"][0], made["error"][0]) == (str(kept), "")
    assert kept.read_bytes() == b"another program's"


# What is missing.


def test_missing_are_those_without_a_whole_result(mapper: Mapper, source: Path, tmp_path: Path) -> None:
    output = tmp_path / "restored"
    mapper({"path": [str(source / "b.png"), str(source / "night" / "a.png")]})
    (output / "night" / f"{TEMPORARY}1234").write_bytes(b"what a killed process leaves")
    for name in (".hidden.png", ".thumbnails/a.png", "notes.txt", "night/f.JPEG"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes(b"")
    (source / "linked").symlink_to(tmp_path)
    missing = [os.path.relpath(path, source) for path in mapper.list_missing()]
    assert missing == ["a.png", "c.png", "night/d.png", "night/e.png", "night/f.JPEG"]


def test_results_inside_the_source_are_no_pictures(entry: Entry, source: Path) -> None:
    mapper = Mapper(entry.folder, source=source, output=source / "restored")
    mapper({"path": mapper.list_missing()})
    assert mapper.list_missing() == []


def test_two_pictures_with_the_same_result_are_refused(mapper: Mapper, source: Path, tmp_path: Path) -> None:
    Image.fromarray(pixels(0)).save(source / "night" / "d.bmp")
    with pytest.raises(ImageError, match=r"night/d\.bmp and night/d\.png in .* both become night/d\.png"):
        mapper.list_missing()
    # Who does not ask loses none of them either.
    made = mapper({"path": [str(source / "night" / name) for name in ("d.bmp", "d.png")]})
    assert made["error"][0] == ""
    assert "night/d.bmp" in made["error"][1]
    assert (tmp_path / "restored" / "night" / "d.png").exists()


def test_a_listing_needs_folders(entry: Entry, mapper: Mapper, source: Path) -> None:
    with pytest.raises(ImageError, match="say source= and output="):
        Mapper(entry.folder).list_missing()
    source.rename(source.with_name("moved"))
    with pytest.raises(FileNotFoundError, match="photos"):
        mapper.list_missing()


# Ray.

KILLED_AT = 2

JOB = f"""
import sys, time
from pathlib import Path

import ray

import zoo
from pipelines.core.ray_cluster import ray_cluster

folder, source, output = sys.argv[1:]


class Held(zoo.Mapper):
    def __call__(self, batch):
        while len(list(Path(output).rglob("*.png"))) >= {KILLED_AT}:
            time.sleep(0.02)  # until the process is killed
        return super().__call__(batch)


with ray_cluster(None, num_cpus=2):
    mapper = Held(folder, {BRIGHT}, source=source, output=output)
    files = ray.data.read_binary_files(mapper.list_missing(), include_paths=True)
    files.map_batches(mapper, batch_size=1, compute=ray.data.TaskPoolStrategy(size=2)).materialize()
"""


@pytest.fixture
def killed_job(mapper: Mapper, entry: Entry, source: Path, tmp_path: Path) -> Path:
    """The output folder of a job on Ray that was killed after some results."""
    output = tmp_path / "restored"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", JOB, str(entry.folder), str(source), str(output)]
    process = subprocess.Popen(command, env=environment, cwd=tmp_path)
    try:
        wait_until(lambda: len(mapper.list_missing()) <= 6 - KILLED_AT or process.poll() is not None)
        assert process.poll() is None
    finally:
        below = psutil.Process(process.pid).children(recursive=True)
        for each in (process, *below):
            each.kill()
        process.wait()
        psutil.wait_procs(below)
    return output


@pytest.mark.cluster
@pytest.mark.slow
def test_ray_data(
    killed_job: Path,
    mapper: Mapper,
    entry: Entry,
    predictor: Predictor,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing, before = mapper.list_missing(), {path: path.stat() for path in killed_job.rglob("*.png")}
    assert 0 < len(missing) <= 6 - KILLED_AT
    assert len(missing) + len(before) == 6
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    import ray

    with ray_cluster(None, num_cpus=2):
        # What was not done, by tasks.
        files = ray.data.read_binary_files(missing, include_paths=True)
        tasks = ray.data.TaskPoolStrategy(size=2)
        rows = files.map_batches(mapper, batch_size=1, compute=tasks).take_all()
        assert sorted(row["path"] for row in rows) == sorted(missing)
        assert {row["error"] for row in rows} == {""}
        for path, status in before.items():
            assert (path.stat().st_mtime_ns, path.stat().st_ino) == (status.st_mtime_ns, status.st_ino)
        assert mapper.list_missing() == []
        for name in names(source):
            wanted = predictor.restore(source / name, BRIGHT).pixels.astype(int)
            assert abs(zoo.read_picture(killed_job / name).pixels.astype(int) - wanted).max() <= 1

        # Pixels of two sizes, by an actor.
        Image.fromarray(pixels(6, 16, 24)).save(source / "small.png")
        images = ray.data.read_images(str(source), include_paths=True)
        made = images.map_batches(
            Mapper,
            fn_constructor_args=(entry.folder,),
            fn_constructor_kwargs=BRIGHT,
            compute=ray.data.ActorPoolStrategy(size=1),
            batch_size=4,
        ).take_all()
        assert len(made) == 7
        for row in made:
            wanted = predictor.restore(row["path"], BRIGHT).pixels.astype(int)
            assert abs(row["image"].astype(int) - wanted).max() <= 1

        # The program of the manual.
        page = (ROOT / "docs" / "apply.md").read_text(encoding="utf-8")
        [program] = re.findall(r'^```python title="restore.py"\n(.*?)^```$', page, re.DOTALL | re.MULTILINE)
        killed_job.rename(tmp_path / "first")
        monkeypatch.chdir(tmp_path)
        for _ in range(2):  # the second one finds nothing to do
            exec(program, {})
        assert names(killed_job) == names(source)


@pytest.mark.server
def test_workers_use_what_was_named_then(
    entry: Entry, tmp_path: Path, publish: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = RemoteZoo(str(tmp_path / "shared"))
    remote.push(entry, ["stable"])
    monkeypatch.chdir(tmp_path)
    mapper = Mapper("shared/tiny@stable")
    remote.push(publish(description="Other words."), ["stable"])
    monkeypatch.chdir("/")
    batch = {"image": np.zeros((1, 8, 8, 3), np.uint8)}
    assert mapper(batch)["image"].shape == (1, 8, 8, 3)
    monkeypatch.chdir(tmp_path)
    archive = tmp_path / "alone.tar"
    subprocess.run(["tar", "-cf", str(archive), "-C", str(entry.folder), "."], check=True)
    lone = Mapper("./alone.tar")
    other = publish(description="Other words.")
    subprocess.run(["tar", "-cf", str(archive), "-C", str(other.folder), "."], check=True)
    with pytest.raises(IntegrityError, match="as where the mapper was made"):
        lone(batch)
