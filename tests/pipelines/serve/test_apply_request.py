"""Requests for a picture: forms, raw bodies with a query, pictures sent once, parts and sizes."""

import hashlib
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

import zoo
from picture_files import png
from pipelines.core.errors import ConfigError
from pipelines.serve import inference
from pipelines.serve.config import ServeConfig
from pipelines.serve.inference import load_models

APPLY = "/v1/models/tiny:apply"
RAW = {"content-type": "application/octet-stream"}


def decode_pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def keep(client: Any, content: bytes, digest: str = "") -> Any:
    path = f"/v1/images/{digest or hashlib.sha256(content).hexdigest()}"
    [answer] = client.together([{"method": "PUT", "url": path, "content": content}])
    return answer


def read_error(answer: Any) -> tuple[int, str, str]:
    detail = answer.json()["error"]
    return answer.status_code, detail["code"], detail["message"]


@pytest.mark.parametrize("kind", ["application/octet-stream", "image/png", "image/jpeg", ""])
def test_a_picture_alone_is_the_same_as_a_form(client: Any, photo: bytes, kind: str) -> None:
    form = client.post(APPLY, files={"image": photo}, data={"denoise": "0.25"})
    headers = {"content-type": kind} if kind else {}
    raw = client.post(f"{APPLY}?denoise=0.25", content=photo, headers=headers)
    assert raw.content == form.content
    assert json.loads(raw.headers["tunable-values"])["denoise"] == 0.25


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("denoise=2", "invalid_slider"),
        ("denoise=much", "invalid_slider"),
        ("denoize=1", "invalid_slider"),
        ("denoise=0&denoise=1", "duplicate_field"),
        ("region=0,0,4", "invalid_option"),
        ("region=0,0,-4,4", "invalid_option"),
        ("region=0,0,4,4,4", "invalid_option"),
        ("region=0,0,4.5,4", "invalid_option"),
        ("region=39,0,2,1", "invalid_option"),
        ("region=0,0,0,1", "invalid_option"),
        ("max_side=0", "invalid_option"),
        ("max_side=big", "invalid_option"),
        ("quality=0", "invalid_option"),
        ("quality=101", "invalid_option"),
        ("quality=80", "invalid_option"),  # of a PNG
        ("metadata=some", "invalid_option"),
        ("image=" + "0" * 64, "missing_image"),  # beside a body
    ],
)
def test_a_query_that_is_refused(client: Any, photo: bytes, query: str, code: str) -> None:
    answer = client.post(f"{APPLY}?{query}", content=photo, headers=RAW)
    assert read_error(answer)[:2] == (422, code)


def test_what_curl_sends_by_default_is_told_how_to_send_it(client: Any, photo: bytes) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    status, code, message = read_error(client.post(APPLY, content=photo, headers=headers))
    assert (status, code) == (422, "missing_image")
    assert "-H 'Content-Type: application/octet-stream'" in message


def test_no_picture_at_all(client: Any) -> None:
    assert read_error(client.post(APPLY))[:2] == (422, "missing_image")
    assert read_error(client.post(f"{APPLY}?image=abc"))[:2] == (422, "missing_image")


def test_a_picture_is_sent_once_and_restored_at_many_settings(client: Any, photo: bytes) -> None:
    digest = hashlib.sha256(photo).hexdigest()
    status, code, message = read_error(client.post(APPLY, data={"image": digest}))
    assert (status, code) == (410, "image_gone")
    assert f"PUT /v1/images/{digest}" in message
    first, again = keep(client, photo), keep(client, photo)
    assert (first.status_code, again.status_code) == (201, 200)
    kept = {"sha256": digest, "width": 40, "height": 30, "kind": "8-bit RGB"}
    assert first.json() == again.json() == client.get(f"/v1/images/{digest}").json() == kept
    for denoise in ("0", "1"):
        whole = client.post(APPLY, files={"image": photo}, data={"denoise": denoise})
        assert client.post(APPLY, data={"image": digest, "denoise": denoise}).content == whole.content
        assert client.post(f"{APPLY}?image={digest}&denoise={denoise}").content == whole.content
        files = {"image": (None, digest), "denoise": (None, denoise)}
        assert client.post(APPLY, files=files).content == whole.content


def test_what_is_kept_must_be_what_it_says(client: Any, photo: bytes) -> None:
    assert read_error(keep(client, photo, "0" * 64))[:2] == (422, "invalid_digest")
    assert read_error(keep(client, photo, "latest"))[:2] == (422, "invalid_digest")
    assert read_error(keep(client, b"no picture"))[:2] == (422, "bad_image")
    large = png(np.zeros((101, 100), np.uint8))  # of a client that allows 10,000 pixels
    assert read_error(keep(client, large))[:2] == (413, "image_too_large")
    for path in ("0" * 64, hashlib.sha256(large).hexdigest()):
        assert read_error(client.get(f"/v1/images/{path}"))[:2] == (410, "image_gone")


def test_pictures_make_room_for_newer_ones(make_client: Callable[..., Any]) -> None:
    pictures = [png(np.full((10, 10), level, np.uint8)) for level in range(3)]
    client = make_client(max_kept_bytes=250)
    for content in pictures[:2]:
        keep(client, content)
    digests = [hashlib.sha256(content).hexdigest() for content in pictures]
    assert client.post(APPLY, data={"image": digests[0]}).status_code == 200  # which makes it the newer one
    keep(client, pictures[2])
    kept = [client.get(f"/v1/images/{digest}").status_code for digest in digests]
    assert kept == [200, 410, 200]
    large = png(np.zeros((20, 20), np.uint8))
    status, code, message = read_error(keep(client, large))
    assert (status, code) == (413, "too_large_to_keep")
    assert "send it with each request" in message


@pytest.mark.parametrize("sent_once", [False, True])
def test_a_region_is_that_part_of_the_answer(client: Any, photo: bytes, sent_once: bool) -> None:
    whole = decode_pixels(client.post(APPLY, files={"image": photo}).content)
    keep(client, photo)
    fields = {"region": "7,5,20,10"}
    if sent_once:
        part = client.post(APPLY, data={"image": hashlib.sha256(photo).hexdigest(), **fields})
    else:
        part = client.post(APPLY, files={"image": photo}, data=fields)
    assert (decode_pixels(part.content) == whole[5:15, 7:27]).all()


def test_a_region_of_a_picture_that_is_too_large_for_the_model(
    client_of: Callable[..., Any], enlarging: zoo.Predictor, photo: bytes
) -> None:
    small = zoo.Predictor(enlarging.network, enlarging.manifest, max_pixels=100)
    client = client_of(large=small)
    apply = "/v1/models/large:apply"
    part = client.post(apply, files={"image": photo}, data={"region": "7,5,10,10"})
    assert decode_pixels(part.content).shape == (40, 40, 3)
    wide = client.post(apply, files={"image": photo}, data={"region": "7,5,10,11"})
    assert read_error(wide)[:2] == (413, "image_too_large")
    keep(client, photo)
    wide = client.post(apply, data={"image": hashlib.sha256(photo).hexdigest(), "region": "7,5,10,11"})
    assert read_error(wide)[:2] == (413, "image_too_large")


def test_a_region_counts_upright(client: Any) -> None:
    exif = Image.Exif()
    exif[274] = 6
    out = io.BytesIO()
    Image.linear_gradient("L").resize((40, 30)).save(out, "PNG", exif=exif)
    assert keep(client, out.getvalue()).json()["width"] == 30
    part = client.post(APPLY, files={"image": out.getvalue()}, data={"region": "0,30,30,10"})
    assert decode_pixels(part.content).shape == (10, 30)


def test_the_longest_side_of_an_answer(client: Any, photo: bytes) -> None:
    small = client.post(APPLY, files={"image": photo}, data={"max_side": "20"})
    assert decode_pixels(small.content).shape == (15, 20, 3)
    same = client.post(APPLY, files={"image": photo}, data={"max_side": "40"})
    assert same.content == client.post(APPLY, files={"image": photo}).content


def test_sliders_named_like_other_fields_are_not_served(
    entry: zoo.Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "RESERVED", ("image", "level"))
    with pytest.raises(ConfigError, match="got level: publish the model with another name"):
        load_models({"tiny": entry.folder}, ServeConfig(engine="torch"))
