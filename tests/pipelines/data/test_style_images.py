from pathlib import Path

import pytest
import torch
from PIL import Image

from pipelines.core.errors import DataError
from pipelines.data.style_images import bundled_image, find_style_image, read_style_image


def test_the_shorter_side_is_scaled_and_colours_stay(tmp_path: Path) -> None:
    Image.new("RGB", (80, 40), (255, 0, 51)).save(tmp_path / "one.png")
    painting = read_style_image(tmp_path / "one.png", 20)
    assert painting.shape == (3, 20, 40)
    torch.testing.assert_close(painting[:, 0, 0], torch.tensor([1.0, 0.0, 0.2]))


def test_grey_and_transparent_files_become_colour(tmp_path: Path) -> None:
    for mode in ("L", "RGBA", "P"):
        Image.new(mode, (40, 40)).save(tmp_path / f"{mode}.png")
        assert read_style_image(tmp_path / f"{mode}.png", 32).shape == (3, 32, 32)


def test_paths_start_at_the_root_and_the_packages_own_are_found(tmp_path: Path) -> None:
    (tmp_path / "one.png").touch()
    assert find_style_image("one.png", tmp_path) == tmp_path / "one.png"
    assert find_style_image(str(tmp_path / "one.png"), Path("elsewhere")) == tmp_path / "one.png"
    for name in ("ihc.png", "retina.jpg", "hubble_deep_field.jpg"):
        assert find_style_image(f"skimage:{name}", tmp_path).is_file()
    with pytest.raises(DataError, match=r"skimage:one\.png"):
        find_style_image("skimage:one.png", tmp_path)


def test_a_bundled_picture_is_a_file() -> None:
    assert bundled_image("coffee.png", "name another").is_file()


def test_without_the_package_the_error_says_what_else_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.data.style_images.find_spec", lambda name: None)
    with pytest.raises(DataError, match="name another"):
        bundled_image("coffee.png", "name another")
