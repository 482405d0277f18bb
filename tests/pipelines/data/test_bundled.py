import pytest

from pipelines.core.errors import DataError
from pipelines.data.bundled import bundled


def test_a_bundled_picture_is_a_file() -> None:
    assert bundled("coffee.png", "name another").is_file()


def test_without_the_package_the_error_says_what_else_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.data.bundled.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install scikit-image` or name another"):
        bundled("coffee.png", "name another")
