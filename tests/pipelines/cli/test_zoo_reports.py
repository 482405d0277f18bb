"""``tunable zoo diff``, ``compare``, ``reproduce`` and ``gallery``."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

import zoo
from pipelines.core.config import load_section
from pipelines.training.config import TrainConfig


@pytest.fixture
def promoted(store: zoo.Store, tmp_path: Path) -> str:
    """The folder of ``tiny`` under a version, with one more word."""
    entry = store.open("tiny")
    manifest = entry.manifest.replace(version="1.0.0", description="A changed network.")
    return str(zoo.Store(tmp_path / "other").publish(entry.contents(), manifest).folder)


def test_a_difference_is_a_row(tunable: Callable[..., Result], promoted: str) -> None:
    shown = tunable("zoo", "diff", "tiny", promoted).stdout
    assert "tiny@1.0.0" in shown
    [row] = [line for line in shown.splitlines() if line.startswith("description")]
    assert row.endswith("A changed network.")
    [item] = json.loads(tunable("zoo", "diff", "tiny", promoted, "--json").stdout)
    assert item == {"name": "description", "first": "A network for tests.", "second": "A changed network."}


def test_pictures_of_both_are_beside_the_input(
    tunable: Callable[..., Result], promoted: str, photo: Path
) -> None:
    result = tunable(
        "zoo", "compare", "tiny", promoted, str(photo), "-o", "sheet.png", "--set", "denoise=0.2", "level=10"
    )
    assert result.exit_code == 0, result.stderr
    with Image.open("sheet.png") as sheet:
        assert sheet.width > 3 * 40
        assert sheet.height > 30
    result = tunable("zoo", "compare", "tiny", promoted, str(photo), "-o", "x.png", "--set", "shrapness=1")
    assert "neither tiny nor" in result.stderr
    assert not Path("x.png").exists()


def test_a_bundled_entry_says_how_it_was_trained(tunable: Callable[..., Result]) -> None:
    result = tunable("zoo", "reproduce", "denoise", "--out", "again")
    assert result.exit_code == 0, result.stderr
    text = Path("again/params.yaml").read_text()
    manifest = zoo.resolve("denoise").manifest
    assert f"git checkout {manifest.provenance['git_commit']}" in text
    assert "photographs: 53, SHA-256" in text
    options = load_section(Path("again/params.yaml"), "train", TrainConfig)
    assert options.task.name == "noise-level"
    assert options.steps == manifest.metrics["training"]["steps"]
    assert "name another folder" in tunable("zoo", "reproduce", "denoise", "--out", "again").stderr


def test_an_entry_of_another_origin_does_not(tunable: Callable[..., Result]) -> None:
    assert "does not say how it was trained" in tunable("zoo", "reproduce", "tiny").stderr
    assert not Path("reproduced").exists()


def test_a_gallery_of_models_at_hand(tunable: Callable[..., Result]) -> None:
    result = tunable("zoo", "gallery", "--out", "site")
    assert result.exit_code == 0, result.stderr
    page = Path("site/index.html").read_text(encoding="utf-8")
    assert result.stdout.split() == [str(Path("site/index.html").resolve())]
    assert "A network for tests." in page
    assert "tunable apply denoise-deblur" in page
    Path("site/notes.txt").write_text("mine")
    result = tunable("zoo", "gallery", "--out", "site")
    assert result.exit_code == 1
    assert "notes.txt; name another" in result.stderr


def test_a_gallery_of_a_zoo_elsewhere_says_what_it_leaves_out(
    tunable: Callable[..., Result], store: zoo.Store, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    assert tunable("zoo", "push", "tiny", str(shared)).exit_code == 0
    result = tunable("zoo", "gallery", str(shared))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "31.23" in Path("gallery/index.html").read_text(encoding="utf-8")
    manifest = zoo.RemoteZoo(str(shared)).read_index().models["tiny"].versions[store.versions("tiny")[0]]
    (shared / manifest.sha256).write_bytes(b"{}")
    result = tunable("zoo", "gallery", str(shared))
    assert result.exit_code == 0
    assert "tunable: tiny is left out of the gallery: " in result.stderr
    assert "No models here yet." in Path("gallery/index.html").read_text(encoding="utf-8")
