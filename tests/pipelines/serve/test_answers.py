"""Formats by Accept, and what an answer's file holds."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

import zoo
from picture_files import png
from pipelines.serve.answers import negotiate_types
from pipelines.serve.errors import RequestError
from zoo.pictures.picture import Kind

APPLY = "/v1/models/tiny:apply"
PNG, WEBP, JPEG, BINARY = "image/png", "image/webp", "image/jpeg", "application/octet-stream"


@pytest.mark.parametrize(
    ("accept", "types"),
    [
        ("", [PNG, WEBP, JPEG, BINARY]),
        ("*/*", [PNG, WEBP, JPEG, BINARY]),
        ("image/*", [PNG, WEBP, JPEG]),
        ("image/avif,image/webp,image/png;q=0.5", [WEBP, PNG]),
        ("image/jpeg;q=0.1, image/webp;q=0.2, */*;q=0.05", [WEBP, JPEG, PNG, BINARY]),
        ("image/*;q=0.3,image/png;q=0", [WEBP, JPEG]),
        ("IMAGE/JPEG", [JPEG]),
        ("image/jpeg; q=1; level=2", [JPEG]),
        (BINARY, [BINARY]),
        ("text/html,application/xhtml+xml,image/webp", [WEBP]),
    ],
)
def test_preferences_of_a_client(accept: str, types: list[str]) -> None:
    assert negotiate_types(accept, None) == types


@pytest.mark.parametrize(
    "accept", ["*/*;q=0", "image/avif", "text/html", "image/png;q=much", "image/png;q=2", ";,"]
)
def test_nothing_that_is_written_here(accept: str) -> None:
    with pytest.raises(RequestError, match="expected Accept to allow one of image/png") as refused:
        negotiate_types(accept, None)
    assert (refused.value.status, refused.value.code) == (406, "not_acceptable")


def test_a_quality_is_for_lossy_formats() -> None:
    assert negotiate_types("image/jpeg,image/png;q=0.5,image/webp;q=0.1", 80) == [JPEG, WEBP]
    for accept in ("", "image/png", "image/*", BINARY):
        with pytest.raises(RequestError, match="quality is for image/jpeg and image/webp"):
            negotiate_types(accept, 80)


def open_answer(answer: Any) -> Image.Image:
    assert answer.status_code == 200, answer.text
    assert answer.headers["vary"] == "Accept"
    return Image.open(io.BytesIO(answer.content))


def test_every_format_comes_as_asked_for(client: Any, photo: bytes) -> None:
    upload = {"files": {"image": photo}}
    plain = np.asarray(open_answer(client.post(APPLY, **upload)))
    for kind, name, lossless in [
        (PNG, "PNG", True),
        (WEBP, "WEBP", True),
        (JPEG, "JPEG", False),
        (BINARY, "PNG", True),
    ]:
        answer = client.post(APPLY, **upload, headers={"accept": kind})
        assert answer.headers["content-type"] == kind
        image = open_answer(answer)
        assert image.format == name
        assert (np.asarray(image) == plain).all() == lossless
    rough = client.post(APPLY, **upload, data={"quality": "5"}, headers={"accept": WEBP})
    assert open_answer(rough).format == "WEBP"
    assert len(rough.content) < len(client.post(APPLY, **upload, headers={"accept": WEBP}).content)


def test_what_a_format_cannot_hold_comes_in_the_next(client: Any) -> None:
    deep = png(np.full((30, 40, 3), 300, np.uint16))
    clear = png(np.full((30, 40, 4), 9, np.uint8))
    answer = client.post(APPLY, files={"image": deep})
    assert zoo.read_picture(answer.content).kind == Kind(3, 16)
    both = client.post(APPLY, files={"image": clear}, headers={"accept": "image/jpeg,image/webp;q=0.5"})
    assert open_answer(both).format == "WEBP"
    refused = client.post(APPLY, files={"image": clear}, headers={"accept": JPEG})
    assert refused.status_code == 406
    assert "JPEG holds no transparency" in refused.json()["error"]["message"]


@pytest.mark.parametrize("kind", [PNG, WEBP, JPEG])
def test_settings_and_metadata_are_in_the_file_unless_they_shall_not(client: Any, kind: str) -> None:
    exif = Image.Exif()
    exif[274], exif[315] = 6, "Ann Author"
    out = io.BytesIO()
    Image.new("RGB", (40, 30)).save(out, "JPEG", exif=exif)
    upload = {"files": {"image": out.getvalue()}, "headers": {"accept": kind}}
    image = open_answer(client.post(APPLY, **upload, data={"denoise": "0.25"}))
    assert image.size == (30, 40)
    assert image.getexif()[315] == "Ann Author"
    assert image.getexif().get(274, 1) == 1
    assert image.getexif()[305].endswith("denoise=0.25 level=25")
    bare = open_answer(client.post(APPLY, **upload, data={"metadata": "none"}))
    assert not bare.getexif()
