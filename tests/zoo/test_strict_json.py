from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo import strict_json
from zoo.errors import ManifestError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_value_survives_and_has_one_form(value: object) -> None:
    data = strict_json.encode_json(value)
    assert strict_json.parse_json(data) == value
    assert strict_json.encode_json(strict_json.parse_json(data)) == data


@given(st.binary(max_size=40))
def test_noise_is_a_value_or_a_clear_error(data: bytes) -> None:
    with suppress(ManifestError):
        strict_json.encode_json(strict_json.parse_json(data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": 1, "a": 2}', "'a' is given twice"),
        (b'{"b": {"a": 1, "a": 1}}', "'a' is given twice"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"[1e999]", "1e999"),
        (b"[" * 100_000, "well-formed"),
        (b'"\xff"', "utf-8"),
        (b"1" * 10_000, "digits"),
        (b'{"half": ', "well-formed"),
        (b"", "well-formed"),
        (b" " * (strict_json.MAX_BYTES + 1), "at most"),
    ],
)
def test_ambiguous_or_hostile_text_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        strict_json.parse_json(data)


@pytest.mark.parametrize("value", [float("nan"), {"a": object()}, ["\ud800"]])
def test_what_is_no_json_is_not_written(value: object) -> None:
    with pytest.raises(ManifestError, match="plain JSON"):
        strict_json.encode_json(value)


def test_read_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"{")
    with pytest.raises(ManifestError, match=r"a\.json: expected well-formed"):
        strict_json.read_json(path)


def test_read_refuses_links_and_folders(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"{}")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for path in (tmp_path / "link", tmp_path, tmp_path / "nothing"):
        with pytest.raises(ManifestError, match="regular file"):
            strict_json.read_json(path)
