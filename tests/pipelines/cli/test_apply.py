"""``tunable apply``: what it writes, and what it refuses to."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from typer.testing import CliRunner, Result

import zoo
from picture_files import png, tiff
from pipelines.cli import app


def restored(store: zoo.Store, photo: Path, **values: float) -> np.ndarray:
    with Image.open(photo) as picture:
        return np.asarray(zoo.load(store.open("tiny").folder)(picture, values))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize(
    "assignments",
    [
        ["--set", "denoise=0.25", "--set", "level=10"],
        ["--set", "denoise=0.25", "level=10"],
        ["--set=denoise=0.25", "--set", "level=1e1"],
    ],
)
def test_sliders_in_every_spelling(
    tunable: Callable[..., Result], store: zoo.Store, photo: Path, tmp_path: Path, assignments: list[str]
) -> None:
    out = tmp_path / "out.png"
    result = tunable("apply", "tiny", photo, "-o", out, *assignments)
    assert result.exit_code == 0, result.stderr
    assert "denoise=0.25, level=10" in result.stdout
    assert (pixels(out) == restored(store, photo, denoise=0.25, level=10.0)).all()


def test_a_larger_picture_from_sliders_that_share(
    tunable: Callable[..., Result], enlarging: zoo.Entry, photo: Path, tmp_path: Path
) -> None:
    result = tunable("apply", enlarging.folder, photo, "-o", "out.png", "--set", "accuracy=0.5")
    assert result.exit_code == 0, result.stderr
    assert "160x120" in result.stdout
    assert "accuracy=0.5, detail=0.25, calm=0.25" in result.stdout
    with Image.open(photo) as picture:
        wanted = np.asarray(zoo.load(enlarging.folder)(picture, accuracy=0.5))
    assert (pixels(tmp_path / "out.png") == wanted).all()
    too_much = tunable("apply", enlarging.folder, photo, "-o", "two.png", "--set", "accuracy=0.9", "calm=0.2")
    assert too_much.exit_code == 1
    assert "sum to 1" in too_much.stderr


def test_assignments_may_come_first(tunable: Callable[..., Result], photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    assert tunable("apply", "--set", "denoise=0.5", "level=10", "tiny", photo, "-o", out).exit_code == 0
    assert out.exists()


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".webp", ".tif", ".tiff"])
def test_lossless_formats_hold_the_result(
    tunable: Callable[..., Result], store: zoo.Store, photo: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"out{suffix}"
    assert tunable("apply", "tiny", photo, "-o", out).exit_code == 0
    assert (pixels(out) == restored(store, photo)).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_colour_profile_is_kept(
    tunable: Callable[..., Result], photo: Path, tmp_path: Path, suffix: str
) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with Image.open(photo) as picture:
        picture.save(tmp_path / "profiled.png", icc_profile=profile)
    out = tmp_path / f"out{suffix}"
    assert tunable("apply", "tiny", tmp_path / "profiled.png", "-o", out).exit_code == 0
    with Image.open(out) as picture:
        assert picture.info["icc_profile"] == profile


def test_only_the_output_is_left(tunable: Callable[..., Result], photo: Path, tmp_path: Path) -> None:
    tunable("apply", "tiny", photo, "-o", tmp_path / "out.png")
    assert {path.name for path in tmp_path.iterdir()} == {"photo.png", "out.png"}


def test_an_existing_result_is_skipped(tunable: Callable[..., Result], photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    out.write_bytes(b"precious")
    result = tunable("apply", "tiny", photo, "-o", out)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"skipped {out}: it exists; --overwrite makes it again\n"
    assert out.read_bytes() == b"precious"
    assert tunable("apply", "tiny", photo, "-o", out, "--overwrite").exit_code == 0
    assert pixels(out).shape == (30, 40, 3)


@pytest.mark.parametrize("name", ["photo.png", "./photo.png", "link.png", "hard.png", "PHOTO.PNG", "."])
def test_input_is_never_overwritten(
    tunable: Callable[..., Result], photo: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "link.png").symlink_to(photo)
    (tmp_path / "hard.png").hardlink_to(photo)
    (tmp_path / "PHOTO.PNG").hardlink_to(photo)  # as a file system without capitals has it
    before = photo.read_bytes()
    result = tunable("apply", "tiny", photo, "-o", name, "--overwrite")
    assert result.exit_code == 1
    assert "is the input" in result.stderr
    assert "never overwritten" in result.stderr
    assert photo.read_bytes() == before


def test_the_second_of_two_photographs_is_an_input(
    tunable: Callable[..., Result], photo: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second.png"
    second.write_bytes(photo.read_bytes() + b"second")
    before = second.read_bytes()
    for options in ([], ["--overwrite"]):
        result = tunable("apply", "tiny", photo, second, *options)
        assert result.exit_code == 1
        assert "expected -o OUTPUT" in result.stderr
        assert "did you mean" not in result.stderr
    assert tunable("apply", "tiny", photo, "-o", second, "--overwrite", second).exit_code == 1
    assert second.read_bytes() == before


def test_a_second_name_that_is_no_file_was_meant_for_the_output(
    tunable: Callable[..., Result], photo: Path
) -> None:
    result = tunable("apply", "tiny", "photo.png", "out.png")
    assert result.exit_code == 1
    assert "expected -o OUTPUT" in result.stderr
    assert "did you mean: tunable apply tiny photo.png -o out.png" in result.stderr


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("out.xyz", ".png, .tif"),
        ("note", "suffix"),
        ("note/out.png", "expected a folder, or room for one, but note is a file"),
    ],
)
def test_outputs_that_cannot_be(
    tunable: Callable[..., Result], photo: Path, tmp_path: Path, target: str, said: str
) -> None:
    (tmp_path / "note").write_text("a file")
    result = tunable("apply", "tiny", photo, "-o", target)
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_folder_keeps_its_structure(
    tunable: Callable[..., Result], store: zoo.Store, photo: Path, tmp_path: Path
) -> None:
    below = tmp_path / "photos" / "sub" / "b.JPG"
    below.parent.mkdir(parents=True)
    photo.rename(tmp_path / "photos" / "a.png")
    Image.new("RGB", (8, 8), "red").save(below, "JPEG")
    (tmp_path / "photos" / "notes.txt").write_text("not a picture")
    (tmp_path / "photos" / "broken.png").write_bytes(b"noise")
    result = tunable("apply", "tiny", "photos", "-o", "photos/out")
    assert result.exit_code == 1
    assert "ignored files of unsupported formats: 1 (.txt 1)" in result.stderr
    assert "failed photos/broken.png: expected one of" in result.stderr
    assert result.stderr.endswith("2 written, 1 failed\n")
    out = tmp_path / "photos" / "out"
    assert (pixels(out / "a.png") == restored(store, tmp_path / "photos" / "a.png")).all()
    assert (out / "sub" / "b.JPG").is_file()
    again = tunable("apply", "tiny", "photos", "-o", "photos/out")
    assert again.stderr.endswith("2 skipped, 1 failed\n")
    assert sorted(path.name for path in out.rglob("*.*")) == ["a.png", "b.JPG"]


def test_json_is_a_line_a_picture(tunable: Callable[..., Result], photo: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"noise")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "there.png").write_bytes(b"precious")
    (tmp_path / "there.png").write_bytes(photo.read_bytes())
    result = tunable("apply", "tiny", "[pbt]*.png", "-o", "out", "--json", "--set", "denoise=0.5")
    assert result.exit_code == 1
    lines = {line["input"]: line for line in map(json.loads, result.stdout.splitlines())}
    assert {name: line["status"] for name, line in lines.items()} == {
        "broken.png": "failed",
        "photo.png": "written",
        "there.png": "skipped",
    }
    assert "expected one of" in lines["broken.png"]["error"]
    written = lines["photo.png"]
    assert (written["output"], written["megapixels"], written["error"]) == ("out/photo.png", 0.0012, None)
    assert written["settings"] == {"denoise": 0.5, "level": 25.0}
    assert written["seconds"] >= 0


def test_standard_input_and_output(
    store: zoo.Store, tunable: Callable[..., Result], photo: Path, tmp_path: Path
) -> None:
    result = CliRunner().invoke(app, ["apply", "tiny", "-", "-o", "-"], input=photo.read_bytes())
    assert result.exit_code == 0, result.stderr
    with Image.open(io.BytesIO(result.stdout_bytes)) as picture:
        assert (picture.format, picture.size) == ("PNG", (40, 30))
        assert (np.asarray(picture) == restored(store, photo)).all()
    assert "standard output  40x30  tiny@" in result.stderr
    jpeg = tunable("apply", "tiny", photo, "-o", "-", "--format", "jpg")
    assert jpeg.stdout_bytes[:3] == b"\xff\xd8\xff"


def test_progress_is_on_standard_error(
    tunable: Callable[..., Result], photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.core.progress.LINE_EVERY_S", 0.0)
    with Image.open(photo) as picture:
        picture.resize((100, 100)).save(photo)
    result = tunable("apply", "tiny", photo, "-o", "out.png", "--tile", "32")
    assert re.search(
        r"apply  picture 0/1  tile 1/\d+ of photo.png  \S+ megapixels/s  \S+ left", result.stderr
    )
    assert re.search(r"apply  picture 1/1  \S+ megapixels/s  \S+ in all\n$", result.stderr)
    assert result.stdout.count("\n") == 1


def test_settings_of_a_file(
    tunable: Callable[..., Result], store: zoo.Store, photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.json").write_text('{"denoise": 0.25, "photo.png": {"level": 10}}')
    out = tmp_path / "out.png"
    assert tunable("apply", "tiny", photo, "-o", out, "--settings", "own.json").exit_code == 0
    assert (pixels(out) == restored(store, photo, denoise=0.25, level=10.0)).all()


def test_more_pixels_on_request(tunable: Callable[..., Result], photo: Path, tmp_path: Path) -> None:
    small = tunable("apply", "tiny", photo, "-o", "out.png", "--max-pixels", "1000")
    assert small.exit_code == 1
    assert "expected at most 1,000 pixels, got 40 x 30 = 1,200; use --max-pixels 1200" in small.stderr
    assert tunable("apply", "tiny", photo, "-o", "out.png", "--max-pixels", "1200").exit_code == 0


def test_pillow_s_limit_is_lifted_too(
    tunable: Callable[..., Result], photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert tunable("apply", "tiny", photo, "-o", "out.png").exit_code == 0
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "gif"], "expected one of png, tif, tiff, webp, jpg, jpeg, got 'gif'"),
        (["--format", "jpg"], "name two formats"),
        (["--quality", "90"], "--quality is for jpg and webp, and results are PNG"),
        (["--precision", "int8"], "expected precision float32, bfloat16 or float16, got 'int8'"),
        (
            ["--engine", "onnx", "--precision", "float16"],
            "computes in float32 alone, got --precision float16",
        ),
        (["--settings", "none.json"], "expected a file, found none"),
    ],
)
def test_options_that_do_not_go(
    tunable: Callable[..., Result], photo: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    result = tunable("apply", "tiny", photo, "-o", "out.png", *options)
    assert result.exit_code == 1
    assert said in result.stderr
    assert not (tmp_path / "out.png").exists()


def test_quality_is_for_the_results_that_have_one(tunable: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    for name in ("a.jpg", "b.png"):
        noise.save(tmp_path / "in" / name)
    assert tunable("apply", "tiny", "in", "-o", "best").exit_code == 0
    assert tunable("apply", "tiny", "in", "-o", "small", "--quality", "10", "--jobs", "3").exit_code == 0
    assert (tmp_path / "small/a.jpg").stat().st_size < (tmp_path / "best/a.jpg").stat().st_size / 2
    assert (tmp_path / "small/b.png").read_bytes() == (tmp_path / "best/b.png").read_bytes()


def test_a_network_that_sees_all_has_no_tiles(
    tunable: Callable[..., Result], photo: Path, store: zoo.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind = store.open("tiny").manifest.replace(input={"radius_px": None})
    monkeypatch.setattr("zoo.resolve", lambda *_: zoo.Entry(store.open("tiny").folder, blind))
    result = tunable("apply", "tiny", photo, "-o", "out.png", "--tile", "64")
    assert result.exit_code == 1
    assert "leave --tile out" in result.stderr


def test_half_precision_is_said(tunable: Callable[..., Result], photo: Path) -> None:
    result = tunable("apply", "tiny", photo, "-o", "out.png", "--precision", "bfloat16")
    assert result.stdout.rstrip().endswith("engine torch bfloat16")


@pytest.mark.parametrize(("mode", "suffix"), [("I;16", ".webp"), ("F", ".webp"), ("F", ".png")])
def test_depths_are_rounded_and_said(
    tunable: Callable[..., Result], tmp_path: Path, mode: str, suffix: str
) -> None:
    white = 65535 if mode == "I;16" else 1
    ramp = np.tile(np.linspace(0, white, 64), (32, 1)).astype(np.uint16 if mode == "I;16" else np.float32)
    Image.fromarray(ramp).save(tmp_path / "in.tif")
    for name in (f"out{suffix}", "wanted.tif"):
        result = tunable("apply", "tiny", "in.tif", "-o", name)
        assert result.exit_code == 0, result.stderr
        assert ("is rounded to" in result.stderr) == (name != "wanted.tif")
    found, wanted = pixels(tmp_path / f"out{suffix}"), pixels(tmp_path / "wanted.tif")
    grey = found if found.ndim == 2 else found[..., 0]
    np.testing.assert_allclose(grey / np.iinfo(found.dtype).max, wanted / white, atol=1 / 255)


def test_metadata_stays_unless_it_is_stripped(
    tunable: Callable[..., Result], photo: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[274], exif[315] = 6, "Ann Author"
    with Image.open(photo) as picture:
        size = picture.size
        picture.convert("RGB").save(tmp_path / "in.jpg", exif=exif, dpi=(300, 300), icc_profile=b"a profile")
    for options, author, dpi in (((), "Ann Author", (300, 300)), (("--strip",), None, None)):
        result = tunable("apply", "tiny", "in.jpg", "-o", "out.jpg", "--overwrite", *options)
        assert result.exit_code == 0, result.stderr
        with Image.open(tmp_path / "out.jpg") as restored:
            assert restored.size == size[::-1]
            assert restored.getexif().get(274, 1) == 1
            assert (restored.getexif().get(315), restored.info.get("dpi")) == (author, dpi)
            assert restored.info["icc_profile"] == b"a profile"


def test_every_page_and_frame_is_restored(tunable: Callable[..., Result], tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 6), shade) for shade in ("red", "green", "blue")]
    options = {"save_all": True, "append_images": frames[1:]}
    frames[0].save(tmp_path / "scan.tif", **options)
    frames[0].save(tmp_path / "moving.gif", duration=70, **options)
    for name, out, times in (("scan.tif", "out.tif", ()), ("moving.gif", "out.webp", (70, 70, 70))):
        result = tunable("apply", "tiny", name, "-o", out)
        assert result.exit_code == 0, result.stderr
        pages = zoo.read_pages(tmp_path / out)
        assert (len(pages.pictures), pages.durations_ms) == (3, times)
        wanted = [np.asarray(zoo.read_picture(tmp_path / name, page=page).pixels) for page in range(3)]
        assert len({page.pixels.tobytes() for page in pages.pictures}) == len(wanted)


def test_several_pages_where_one_is_held_are_refused_or_one_is_chosen(
    tunable: Callable[..., Result], tmp_path: Path
) -> None:
    first, second = Image.new("RGB", (8, 6)), Image.new("L", (5, 4))
    first.save(tmp_path / "scan.tif", save_all=True, append_images=[second])
    result = tunable("apply", "tiny", "scan.tif", "-o", "out.jpg")
    assert result.exit_code == 1
    said = "failed scan.tif: 2 pages, and JPEG holds one; choose .tif; or choose one with --page 1"
    assert said in result.stderr
    assert tunable("apply", "tiny", "scan.tif", "-o", "out.jpg", "--page", "2").exit_code == 0
    assert pixels(tmp_path / "out.jpg").shape == (4, 5)
    missing = tunable("apply", "tiny", "scan.tif", "-o", "three.jpg", "--page", "3")
    assert "expected a page from 1 to 2, got 3" in missing.stderr


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_of_colour_stay(tunable: Callable[..., Result], tmp_path: Path, suffix: str) -> None:
    colours = np.random.default_rng(0).integers(0, 65536, (32, 48, 3), dtype=np.uint16)
    (tmp_path / "in.png").write_bytes(png(colours))
    result = tunable("apply", "tiny", "in.png", "-o", f"out{suffix}")
    assert result.exit_code == 0, result.stderr
    assert "rounded" not in result.stderr
    found = zoo.read_picture(tmp_path / f"out{suffix}").pixels
    assert found.dtype == np.uint16
    assert (found % 257 != 0).any()  # no 8 bits that were stretched


def test_what_is_no_picture_is_named_and_the_rest_is_done(
    tunable: Callable[..., Result], photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "signed.tif").write_bytes(tiff(np.zeros((8, 8), np.int16)))
    result = tunable("apply", "tiny", "signed.tif", photo, "-o", "out")
    assert result.exit_code == 1
    assert "failed signed.tif: a TIFF of 1 x 16-bit signed integer, which is not supported" in result.stderr
    assert "1 written, 1 failed" in result.stderr


def test_what_no_format_rounds_is_refused_before_the_model_is_loaded(
    tunable: Callable[..., Result], photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("zoo.load", load)
    with Image.open(photo) as picture:
        picture.convert("RGBA").save(tmp_path / "rgba.png")
    Image.new("L", (20000, 1)).save(tmp_path / "long.png")
    for name, out, said in (
        ("rgba.png", "out.jpg", "JPEG holds no transparency; choose .png, .tif or .webp"),
        ("long.png", "out.webp", "got 20000 x 1; choose .png, .tif or .jpg"),
    ):
        result = tunable("apply", "tiny", name, "-o", out)
        assert result.exit_code == 1
        assert said in result.stderr


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("denoise", "NAME=VALUE"),
        ("denoise=0,5", "point"),
        ("denoise=nan", "expected a number"),
        ("denoise=2", "0 to 1"),
        ("denoize=1", "did you mean 'denoise'"),
    ],
)
def test_wrong_assignments(
    tunable: Callable[..., Result], photo: Path, tmp_path: Path, assignment: str, said: str
) -> None:
    result = tunable("apply", "tiny", photo, "-o", "out.png", "--set", assignment)
    assert result.exit_code == 1
    assert said in result.stderr
    assert not (tmp_path / "out.png").exists()


def test_a_slider_set_twice(tunable: Callable[..., Result], photo: Path) -> None:
    result = tunable("apply", "tiny", photo, "-o", "out.png", "--set", "denoise=0", "denoise=1")
    assert result.exit_code == 1
    assert "twice" in result.stderr


def test_unknown_device(tunable: Callable[..., Result], photo: Path) -> None:
    result = tunable("apply", "tiny", photo, "-o", "out.png", "--device", "abacus")
    assert result.exit_code == 1
    assert "abacus" in result.stderr


def test_the_engine_is_said(tunable: Callable[..., Result], photo: Path) -> None:
    result = tunable("apply", "tiny", photo, "-o", "out.png", "--engine", "torch")
    assert result.stdout.rstrip().endswith("engine torch")
    assert result.stderr.startswith("apply  picture 1/1")
    wrong = tunable("apply", "tiny", photo, "-o", "other.png", "--engine", "abacus")
    assert wrong.exit_code == 1
    assert "expected engine auto, onnx or torch, got 'abacus'" in wrong.stderr


@pytest.mark.slow
def test_onnx_says_what_it_waits_for(
    tunable: Callable[..., Result], photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNABLE_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TUNABLE_ZOO_ENGINE")
    first = tunable("apply", "tiny", photo, "-o", "first.png")
    assert first.exit_code == 0
    assert first.stderr.startswith("writing the graph of tiny for onnxruntime, once: some seconds\n")
    assert first.stdout.rstrip().endswith("engine onnx")
    second = tunable("apply", "tiny", photo, "-o", "second.png", "--engine", "onnx")
    assert second.exit_code == 0
    assert "writing" not in second.stderr
    tunable("apply", "tiny", photo, "-o", "torch.png", "--engine", "torch")
    wanted, found = (pixels(tmp_path / name).astype(int) for name in ("torch.png", "second.png"))
    assert (pixels(tmp_path / "first.png") == found).all()
    assert abs(found - wanted).max() <= 1


def test_missing_and_broken_input(tunable: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnoise")
    for name in ("missing.png", "broken.png"):
        result = tunable("apply", "tiny", name, "-o", "out.png")
        assert result.exit_code == 1
        assert name in result.stderr
