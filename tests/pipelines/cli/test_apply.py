"""``tunable apply``: what it writes, and what it refuses to."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from typer.testing import Result

import zoo


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
    result = tunable("apply", "tiny", photo, out, *assignments)
    assert result.exit_code == 0, result.stderr
    assert "denoise=0.25, level=10" in result.stdout
    assert (pixels(out) == restored(store, photo, denoise=0.25, level=10.0)).all()


def test_a_larger_picture_from_sliders_that_share(
    tunable: Callable[..., Result], enlarging: zoo.Entry, photo: Path, tmp_path: Path
) -> None:
    result = tunable("apply", enlarging.folder, photo, "out.png", "--set", "accuracy=0.5")
    assert result.exit_code == 0, result.stderr
    assert "160x120" in result.stdout
    assert "accuracy=0.5, detail=0.25, calm=0.25" in result.stdout
    with Image.open(photo) as picture:
        wanted = np.asarray(zoo.load(enlarging.folder)(picture, accuracy=0.5))
    assert (pixels(tmp_path / "out.png") == wanted).all()
    too_much = tunable("apply", enlarging.folder, photo, "two.png", "--set", "accuracy=0.9", "calm=0.2")
    assert too_much.exit_code == 1
    assert "sum to 1" in too_much.stderr


def test_assignments_may_come_first(tunable: Callable[..., Result], photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    assert tunable("apply", "--set", "denoise=0.5", "level=10", "tiny", photo, out).exit_code == 0
    assert out.exists()


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".webp", ".tif", ".tiff"])
def test_lossless_formats_hold_the_result(
    tunable: Callable[..., Result], store: zoo.Store, photo: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"out{suffix}"
    assert tunable("apply", "tiny", photo, out).exit_code == 0
    assert (pixels(out) == restored(store, photo)).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_colour_profile_is_kept(
    tunable: Callable[..., Result], photo: Path, tmp_path: Path, suffix: str
) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with Image.open(photo) as picture:
        picture.save(tmp_path / "profiled.png", icc_profile=profile)
    out = tmp_path / f"out{suffix}"
    assert tunable("apply", "tiny", tmp_path / "profiled.png", out).exit_code == 0
    with Image.open(out) as picture:
        assert picture.info["icc_profile"] == profile


def test_only_the_output_is_left(tunable: Callable[..., Result], photo: Path, tmp_path: Path) -> None:
    tunable("apply", "tiny", photo, tmp_path / "out.png")
    assert {path.name for path in tmp_path.iterdir()} == {"photo.png", "out.png"}


def test_existing_output_needs_force(tunable: Callable[..., Result], photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    out.write_bytes(b"precious")
    result = tunable("apply", "tiny", photo, out)
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert out.read_bytes() == b"precious"
    assert tunable("apply", "tiny", photo, out, "--force").exit_code == 0
    assert pixels(out).shape == (30, 40, 3)


@pytest.mark.parametrize("name", ["photo.png", "./photo.png", "link.png", "hard.png"])
def test_input_is_never_overwritten(
    tunable: Callable[..., Result], photo: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "link.png").symlink_to(photo)
    (tmp_path / "hard.png").hardlink_to(photo)
    before = photo.read_bytes()
    result = tunable("apply", "tiny", photo, name, "--force")
    assert result.exit_code == 1
    assert "the input itself" in result.stderr
    assert photo.read_bytes() == before


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("out.xyz", ".png, .jpg"),
        ("out", "suffix"),
        ("none/out.png", "does not exist"),
        ("folder.png", "folder"),
    ],
)
def test_outputs_that_cannot_be(
    tunable: Callable[..., Result], photo: Path, tmp_path: Path, target: str, said: str
) -> None:
    (tmp_path / "folder.png").mkdir()
    result = tunable("apply", "tiny", photo, target)
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
    result = tunable("apply", "tiny", photo, "out.png", "--set", assignment)
    assert result.exit_code == 1
    assert said in result.stderr
    assert not (tmp_path / "out.png").exists()


def test_a_slider_set_twice(tunable: Callable[..., Result], photo: Path) -> None:
    result = tunable("apply", "tiny", photo, "out.png", "--set", "denoise=0", "denoise=1")
    assert result.exit_code == 1
    assert "twice" in result.stderr


def test_unknown_device(tunable: Callable[..., Result], photo: Path) -> None:
    result = tunable("apply", "tiny", photo, "out.png", "--device", "abacus")
    assert result.exit_code == 1
    assert "abacus" in result.stderr


def test_the_engine_is_said(tunable: Callable[..., Result], photo: Path) -> None:
    result = tunable("apply", "tiny", photo, "out.png", "--engine", "torch")
    assert result.stdout.rstrip().endswith("engine torch")
    assert result.stderr == ""
    wrong = tunable("apply", "tiny", photo, "other.png", "--engine", "abacus")
    assert wrong.exit_code == 1
    assert "expected engine auto, onnx or torch, got 'abacus'" in wrong.stderr


@pytest.mark.slow
def test_onnx_says_what_it_waits_for(
    tunable: Callable[..., Result], photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNABLE_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TUNABLE_ZOO_ENGINE")
    first = tunable("apply", "tiny", photo, "first.png")
    assert (first.exit_code, first.stderr) == (
        0,
        "writing the graph of tiny for onnxruntime, once: some seconds\n",
    )
    assert first.stdout.rstrip().endswith("engine onnx")
    second = tunable("apply", "tiny", photo, "second.png", "--engine", "onnx")
    assert (second.exit_code, second.stderr) == (0, "")
    tunable("apply", "tiny", photo, "torch.png", "--engine", "torch")
    wanted, found = (pixels(tmp_path / name).astype(int) for name in ("torch.png", "second.png"))
    assert (pixels(tmp_path / "first.png") == found).all()
    assert abs(found - wanted).max() <= 1


def test_missing_and_broken_input(tunable: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnoise")
    for name in ("missing.png", "broken.png"):
        result = tunable("apply", "tiny", name, "out.png")
        assert result.exit_code == 1
        assert name in result.stderr


def test_transparency_does_not_fit_a_jpeg(
    tunable: Callable[..., Result], photo: Path, tmp_path: Path
) -> None:
    with Image.open(photo) as picture:
        picture.convert("RGBA").save(tmp_path / "rgba.png")
    result = tunable("apply", "tiny", tmp_path / "rgba.png", "out.jpg")
    assert result.exit_code == 1
    assert "choose .png" in result.stderr
