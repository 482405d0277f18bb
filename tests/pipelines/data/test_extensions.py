import pytest

from pipelines.data.extensions import is_photo


@pytest.mark.parametrize("name", ["a.png", "A.JPG", "deep/er/ü 1.webp", "x.tar.tiff"])
def test_photographs(name: str) -> None:
    assert is_photo(name)


@pytest.mark.parametrize("name", ["notes.txt", "png", ".png", "a.png.part", "deep.png/notes", "a.gif"])
def test_other_files(name: str) -> None:
    assert not is_photo(name)
