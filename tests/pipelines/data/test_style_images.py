from pathlib import Path

import pytest
import torch
from PIL import Image

from pipelines.core.errors import DataError
from pipelines.data.style_images import painting_file, read_painting


def test_the_shorter_side_is_scaled_and_colours_stay(tmp_path: Path) -> None:
    Image.new("RGB", (80, 40), (255, 0, 51)).save(tmp_path / "one.png")
    painting = read_painting(tmp_path / "one.png", 20)
    assert painting.shape == (3, 20, 40)
    torch.testing.assert_close(painting[:, 0, 0], torch.tensor([1.0, 0.0, 0.2]))


def test_grey_and_transparent_files_become_colour(tmp_path: Path) -> None:
    for mode in ("L", "RGBA", "P"):
        Image.new(mode, (40, 40)).save(tmp_path / f"{mode}.png")
        assert read_painting(tmp_path / f"{mode}.png", 32).shape == (3, 32, 32)


def test_paths_start_at_the_root_and_the_packages_own_are_found(tmp_path: Path) -> None:
    (tmp_path / "one.png").touch()
    assert painting_file("one.png", tmp_path) == tmp_path / "one.png"
    assert painting_file(str(tmp_path / "one.png"), Path("elsewhere")) == tmp_path / "one.png"
    for name in ("ihc.png", "retina.jpg", "hubble_deep_field.jpg"):
        assert painting_file(f"skimage:{name}", tmp_path).is_file()
    with pytest.raises(DataError, match="the scikit-image package"):
        painting_file("skimage:one.png", tmp_path)
