"""The routes: successful requests and every kind of error."""

import asyncio
import io
import json
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin

import httpx
import numpy as np
import pytest
from PIL import Image, ImageCms

import zoo
from picture_files import JPEG_XL, png, tiff
from pipelines.serve.app import PAGE
from pipelines.serve.config import ServeConfig
from pipelines.serve.inference import Restoration
from pipelines.serve.queue import Abandoned, Work
from waiting import UNREACHED_S
from zoo.pictures.picture import Kind

APPLY = "/v1/models/tiny:apply"


def decode_pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def make_upload(photo: bytes, **sliders: Any) -> dict[str, Any]:
    return {"files": {"image": ("photo.png", photo)}, "data": {k: str(v) for k, v in sliders.items()}}


def check_error(response: Any, status: int, code: str) -> str:
    """Check the form of an error response and return its message."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "request_id"}
    assert body["error"]["request_id"] == response.headers["x-request-id"]
    assert body["error"]["code"] == code
    assert "Traceback" not in response.text
    return str(body["error"]["message"])


def test_health(client: Any) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}
    for probe in ("/livez", "/readyz"):
        [answer] = client.together([{"method": "HEAD", "url": probe}])
        assert (answer.status_code, answer.content) == (200, b"")


def test_models_list_their_sliders_and_limits(client: Any, model: zoo.Predictor) -> None:
    card = client.get("/v1/models/tiny").json()
    assert client.get("/v1/models").json() == {"models": [card]}
    assert (card["name"], card["version"], card["space"]) == ("tiny", model.version, "box")
    assert (card["task"], card["scale"], card["engine"]) == ("denoise", 1, "torch")
    assert card["sliders"][1] == {
        "name": "level",
        "description": "Noise to expect.",
        "low": 0.0,
        "high": 50.0,
        "default": 25.0,
        "unit": "sigma/255",
        "kind": "objective",
        "metric": "",
    }
    assert card["limits"]["max_pixels"] == 10_000


def test_models_of_several_tasks_side_by_side(
    client_of: Callable[..., Any], model: zoo.Predictor, enlarging: zoo.Predictor
) -> None:
    tiny, large = client_of(tiny=model, large=enlarging).get("/v1/models").json()["models"]
    assert (tiny["space"], large["space"], large["scale"]) == ("box", "simplex", 4)
    assert tiny["limits"]["max_pixels"] == ServeConfig().max_pixels
    assert large["limits"]["max_pixels"] == enlarging.max_pixels < ServeConfig().max_pixels
    assert [slider["name"] for slider in large["sliders"]] == ["accuracy", "perception"]


def test_a_larger_picture_comes_back(
    client_of: Callable[..., Any], enlarging: zoo.Predictor, photo: bytes
) -> None:
    client = client_of(large=enlarging)
    response = client.post("/v1/models/large:apply", **make_upload(photo, accuracy=0.25))
    assert json.loads(response.headers["tunable-values"]) == {"accuracy": 0.25, "perception": 0.75}
    assert decode_pixels(response.content).shape == (120, 160, 3)
    both = client.post("/v1/models/large:apply", **make_upload(photo, accuracy=0.25, perception=0.75))
    assert both.content == response.content
    rounded = client.post("/v1/models/large:apply", **make_upload(photo, accuracy=0.2475, perception=0.7425))
    assert rounded.content == response.content
    assert rounded.headers["tunable-values"] == response.headers["tunable-values"]
    wrong = client.post("/v1/models/large:apply", **make_upload(photo, accuracy=0.5, perception=0.75))
    assert "sum to 1" in check_error(wrong, 422, "invalid_slider")


def test_a_picture_too_large_for_the_model_alone(
    client_of: Callable[..., Any], enlarging: zoo.Predictor, photo: bytes
) -> None:
    small = zoo.Predictor(enlarging.network, enlarging.manifest, max_pixels=100)
    response = client_of(large=small).post("/v1/models/large:apply", **make_upload(photo))
    assert "100 pixels" in check_error(response, 413, "image_too_large")


def test_schema_lists_each_models_sliders(client: Any) -> None:
    operation = client.get("/openapi.json").json()["paths"][APPLY]["post"]
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["image"]
    level = form["properties"]["level"]
    assert (level["minimum"], level["maximum"], level["default"]) == (0.0, 50.0, 25.0)
    assert level["description"] == "Noise to expect. [sigma/255]"
    # A generated client would send them beside a form, which is refused.
    assert not any("default" in parameter["schema"] for parameter in operation["parameters"])
    assert {"200", "404", "413", "415", "422", "429"} <= set(operation["responses"])


@pytest.mark.parametrize("url", ["http://localhost", "https://example.org/restore"])
def test_a_prefix_of_a_proxy_need_not_be_told(client: Any, url: str) -> None:
    schema = client.get("/openapi.json").json()
    [server] = schema["servers"]
    found = {urljoin(f"{url}/openapi.json", server["url"] + path) for path in schema["paths"]}
    assert f"{url}{APPLY}" in found
    for path in ("/", "/docs"):
        assert urljoin(url + path, client.get(path).headers["location"]) == f"{url}/docs/"


@pytest.mark.parametrize("path", ["/livez/", "/v1/models/", "/openapi.json/"])
def test_a_slash_too_many_is_told(client: Any, path: str) -> None:
    check_error(client.get(path), 404, "not_found")


def test_page_is_complete_and_loads_nothing_from_other_hosts(client: Any) -> None:
    assert client.get("/").headers["location"] == "docs/"
    for name in ("", *(path.name for path in PAGE.iterdir())):
        response = client.get(f"/docs/{name}")
        assert response.status_code == 200
        assert response.headers["cache-control"] == "no-cache"
        if not response.headers["content-type"].startswith("image/"):
            assert "//" not in response.text.replace("// ", "").replace("http-equiv", "")


def test_apply_equals_the_predictor(client: Any, model: zoo.Predictor, photo: bytes) -> None:
    response = client.post(APPLY, **make_upload(photo, denoise=0.25, level="1e1"))
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    assert response.headers["tunable-model"] == "tiny"
    assert response.headers["tunable-version"] == model.version
    assert json.loads(response.headers["tunable-values"]) == {"denoise": 0.25, "level": 10.0}
    expected = model(Image.open(io.BytesIO(photo)), denoise=0.25, level=10.0)
    assert (decode_pixels(response.content) == np.asarray(expected)).all()


def test_sliders_left_out_have_their_defaults(client: Any, photo: bytes) -> None:
    response = client.post(APPLY, **make_upload(photo))
    assert json.loads(response.headers["tunable-values"]) == {"denoise": 1.0, "level": 25.0}
    explicit = client.post(APPLY, **make_upload(photo, denoise=1, level=25))
    assert response.content == explicit.content


def test_color_profile_is_kept(client: Any, photo: bytes) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    out = io.BytesIO()
    Image.open(io.BytesIO(photo)).save(out, "PNG", icc_profile=profile)
    response = client.post(APPLY, **make_upload(out.getvalue()))
    assert Image.open(io.BytesIO(response.content)).info["icc_profile"] == profile


def test_floating_point_comes_back_in_sixteen_bits(client: Any) -> None:
    tiff = io.BytesIO()
    Image.fromarray(np.full((30, 40), 0.5, dtype=np.float32)).save(tiff, "TIFF")
    response = client.post(APPLY, **make_upload(tiff.getvalue()))
    assert response.status_code == 200
    assert decode_pixels(response.content).dtype == np.uint16


def test_sixteen_bits_of_color_stay(client: Any) -> None:
    colors = np.random.default_rng(0).integers(0, 65536, (30, 40, 3), dtype=np.uint16)
    response = client.post(APPLY, **make_upload(png(colors)))
    assert response.status_code == 200
    assert zoo.read_picture(response.content).kind == Kind(3, 16)


def test_several_pages_are_refused(client: Any) -> None:
    out = io.BytesIO()
    Image.new("L", (8, 6)).save(out, "GIF", save_all=True, append_images=[Image.new("L", (8, 6), 9)])
    said = check_error(client.post(APPLY, **make_upload(out.getvalue())), 422, "bad_image")
    assert "2 frames" in said


def test_a_kind_that_is_not_supported_is_named(client: Any) -> None:
    response = client.post(APPLY, **make_upload(tiff(np.zeros((8, 8), np.int16))))
    assert "a TIFF of 1 x 16-bit signed integer" in check_error(response, 422, "bad_image")


def test_a_format_that_is_not_read_is_named(client: Any) -> None:
    assert "got JPEG XL; convert it to PNG" in check_error(
        client.post(APPLY, **make_upload(JPEG_XL)), 422, "bad_image"
    )


def test_content_decides_not_name_or_declared_type(client: Any, photo: bytes) -> None:
    out = io.BytesIO()
    Image.open(io.BytesIO(photo)).save(out, "JPEG")
    files = {"image": ("../../etc/passwd", out.getvalue(), "text/html")}
    assert client.post(APPLY, files=files).status_code == 200


def test_interleaved_values_do_not_mix(make_client: Callable[..., Any], photo: bytes) -> None:
    client = make_client(concurrency=4, max_queued_requests=64)
    settings = [{"denoise": 0, "level": 0}, {"denoise": 1, "level": 50}]
    alone = [client.post(APPLY, **make_upload(photo, **s)).content for s in settings]
    assert alone[0] != alone[1]
    requests = [{"method": "POST", "url": APPLY, **make_upload(photo, **settings[i % 2])} for i in range(32)]
    for index, response in enumerate(client.together(requests)):
        assert response.content == alone[index % 2]


def test_unknown_model_names_those_there_are(client: Any, photo: bytes) -> None:
    assert "tiny" in check_error(client.get("/v1/models/huge"), 404, "unknown_model")
    assert "tiny" in check_error(
        client.post("/v1/models/huge:apply", **make_upload(photo)), 404, "unknown_model"
    )


def test_unknown_address_and_method(client: Any) -> None:
    check_error(client.get("/v2"), 404, "not_found")
    check_error(client.get("/docs/none.js"), 404, "not_found")
    check_error(client.post("/livez"), 405, "method_not_allowed")
    check_error(client.post("/v1/models/tiny"), 405, "method_not_allowed")
    for method in ("GET", "PUT", "DELETE"):
        [response] = client.together([{"method": method, "url": APPLY}])
        check_error(response, 405, "method_not_allowed")
        assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("query", ["denoise=0", "strengh=9", "denoise=0.5&image=photo.png", "denoise"])
def test_a_query_is_refused(client: Any, photo: bytes, query: str) -> None:
    message = check_error(client.post(f"{APPLY}?{query}", **make_upload(photo)), 422, "unexpected_query")
    assert query.partition("=")[0] in message
    assert "-F NAME=VALUE" in message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("much", "expected a number"),
        ("", "expected a number"),
        ("nan", "expected a number"),
        ("inf", "expected a number"),
        ("0,5", "point"),
        ("0_5", "expected a number"),
        ("\u0660", "expected a number"),
        ("[0.5]", "expected a number"),
        ("1e999", "0 to 1"),
        ("1.01", "0 to 1"),
        ("-0.01", "0 to 1"),
    ],
)
def test_slider_values_that_are_refused(client: Any, photo: bytes, text: str, hint: str) -> None:
    message = check_error(client.post(APPLY, **make_upload(photo, denoise=text)), 422, "invalid_slider")
    assert "denoise" in message
    assert hint in message


def test_unknown_slider_names_the_nearest(client: Any, photo: bytes) -> None:
    message = check_error(client.post(APPLY, **make_upload(photo, denoize=0.5)), 422, "invalid_slider")
    assert "did you mean 'denoise'" in message
    many = {f"knob{index}": "1" for index in range(100)}
    check_error(client.post(APPLY, **make_upload(photo, **many)), 422, "invalid_slider")


def test_fields_given_twice(client: Any, photo: bytes) -> None:
    data = {"denoise": ["0.1", "0.9"]}
    message = check_error(client.post(APPLY, files={"image": photo}, data=data), 422, "duplicate_field")
    assert "denoise" in message
    files = [("image", ("a.png", photo)), ("image", ("b.png", photo))]
    check_error(client.post(APPLY, files=files), 422, "duplicate_field")


def test_slider_sent_as_a_file(client: Any, photo: bytes) -> None:
    files = {"image": photo, "denoise": ("value.txt", b"0.5")}
    check_error(client.post(APPLY, files=files), 422, "invalid_slider")


def test_missing_image(client: Any) -> None:
    message = check_error(client.post(APPLY, files={"denoise": (None, "0.5")}), 422, "missing_image")
    assert "-F image=@" in message
    check_error(client.post(APPLY, files={"image": (None, "photo.png")}), 422, "missing_image")


@pytest.mark.parametrize(
    "data",
    [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n" + bytes(100), b"GIF89a", b"<svg/>"],
    ids=["empty", "text", "magic-then-noise", "cut-gif", "svg"],
)
def test_broken_image(client: Any, data: bytes) -> None:
    check_error(client.post(APPLY, **make_upload(data)), 422, "bad_image")


def test_truncated_image(client: Any, photo: bytes) -> None:
    check_error(client.post(APPLY, **make_upload(photo[: len(photo) // 2])), 422, "bad_image")


def test_too_many_pixels_are_refused_before_decoding(client: Any) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )
    check_error(client.post(APPLY, **make_upload(bomb)), 413, "image_too_large")


def test_body_too_large(client: Any) -> None:
    message = check_error(client.post(APPLY, **make_upload(bytes(2**21))), 413, "body_too_large")
    assert "1 MiB" in message


@pytest.mark.parametrize("length", ["10", "0", "-1", "many"])
def test_body_too_large_though_content_length_says_otherwise(client: Any, length: str) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b", "content-length": length}
    body = b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n' + bytes(2**21)
    check_error(client.post(APPLY, content=body, headers=headers), 413, "body_too_large")


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/html; charset=utf-8", "multipart/mixed; boundary=b", "image"]
)
def test_wrong_content_type(client: Any, photo: bytes, content_type: str) -> None:
    response = client.post(APPLY, content=photo, headers={"content-type": content_type})
    assert "multipart/form-data" in check_error(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; charset=utf-8"])
def test_no_boundary(client: Any, photo: bytes, content_type: str) -> None:
    response = client.post(APPLY, content=photo, headers={"content-type": content_type})
    assert "boundary" in check_error(response, 400, "malformed_form")


def test_malformed_multipart(client: Any) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    response = client.post(APPLY, content=b"--b\r\nnonsense", headers=headers)
    assert 400 <= response.status_code < 500
    assert set(response.json()) == {"error"}


def test_too_many_parts(client: Any, photo: bytes) -> None:
    many = {f"knob{index}": "1" for index in range(1500)}
    check_error(client.post(APPLY, **make_upload(photo, **many)), 400, "bad_request")


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Inference blocks until this is set, at the end of the test at the latest."""
    release = threading.Event()
    monkeypatch.setattr(Restoration, "__call__", lambda *_: release.wait() and (b"done", "image/png"))
    yield release
    release.set()


def test_busy_server_answers_429_and_stays_healthy(
    make_client: Callable[..., Any], photo: bytes, release: threading.Event
) -> None:
    client = make_client(concurrency=1, max_queued_requests=1, request_timeout_s=UNREACHED_S)
    early: list[int] = []

    # Inference is released once every request that need not wait for it has its response.
    def answered(response: Any) -> None:
        early.append(response.status_code)
        if len(early) == 3:
            release.set()

    apply = {"method": "POST", "url": APPLY, **make_upload(photo)}
    *answers, health = client.together([apply] * 4 + [{"method": "GET", "url": "/livez"}], answered)
    assert sorted(early[:3]) == [200, 429, 429]
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    check_error(refused, 429, "busy")
    assert int(refused.headers["retry-after"]) > 0
    assert health.status_code == 200
    assert client.post(APPLY, **make_upload(photo)).status_code == 200


def test_health_is_answered_while_networks_run(
    make_client: Callable[..., Any], photo: bytes, release: threading.Event
) -> None:
    client = make_client(concurrency=1, request_timeout_s=UNREACHED_S)

    # Inference is released once the health check has its response.
    def answered(response: Any) -> None:
        if response.url.path == "/livez":
            release.set()

    requests = [{"method": "POST", "url": APPLY, **make_upload(photo)}, {"method": "GET", "url": "/livez"}]
    slow, health = client.together(requests, on_response=answered)
    assert (slow.status_code, health.status_code) == (200, 200)
    assert slow.content == b"done"


def test_slow_request_times_out(
    make_client: Callable[..., Any], photo: bytes, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ServeConfig, "time_for", lambda self, pixels: 0.01)  # not that of the upload
    client = make_client(request_timeout_s=UNREACHED_S)
    check_error(client.post(APPLY, **make_upload(photo)), 408, "timeout")


def test_what_nobody_waits_for_ends_between_tiles(
    client_of: Callable[..., Any],
    model: zoo.Predictor,
    entry: zoo.Entry,
    photo: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiled = zoo.load(str(entry.folder))
    tiled.whole_px, tiled.tile_px = 16, 16
    client = client_of(tiny=tiled)
    whole = client_of(tiny=model).post(APPLY, **make_upload(photo))
    assert client.post(APPLY, **make_upload(photo)).content == whole.content
    tiles: list[Abandoned | None] = []
    gone, ended = threading.Event(), threading.Event()

    def check_slowly(work: Work) -> None:
        try:
            check(work)
            tiles.append(None)
            if len(tiles) == 3:
                gone.set()
                assert work._abandoned.wait(UNREACHED_S)
        except Abandoned as error:
            tiles.append(error)
            ended.set()
            raise

    check = Work.check
    monkeypatch.setattr(Work, "check", check_slowly)
    request = httpx.Request("POST", "http://localhost", **make_upload(photo))
    assert asyncio.run(leave_when(gone, client.app, request, ended)) == []
    assert [tile is None for tile in tiles] == [True] * 3 + [False]


async def leave_when(
    gone: threading.Event, app: Any, request: httpx.Request, ended: threading.Event
) -> list[Any]:
    """Close the connection of a request once ``gone`` is set; what was answered until ``ended``."""
    sent: list[Any] = []
    body = [{"type": "http.request", "body": request.read(), "more_body": False}]

    async def receive() -> Any:
        if body:
            return body.pop()
        while not gone.is_set():
            await asyncio.sleep(0.005)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            sent.append(message)

    headers = [(name.lower(), value) for name, value in request.headers.raw]
    scope = {"type": "http", "method": "POST", "path": APPLY, "query_string": b"", "headers": headers}
    await app(scope | {"http_version": "1.1", "scheme": "http", "root_path": ""}, receive, send)
    while not ended.is_set():
        await asyncio.sleep(0.005)
    return [message for message in sent if message["status"] < 400]


def test_a_lone_timeout_grows_with_the_picture() -> None:
    config = ServeConfig(request_timeout_s=10, timeout_per_megapixel_s=5)
    assert config.time_for(0) == 10
    assert config.time_for(24_000_000) == 130


def test_unexpected_errors_show_no_traceback(
    client: Any, photo: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Restoration, "__call__", broken)
    message = check_error(client.post(APPLY, **make_upload(photo)), 500, "internal_error")
    assert "secret" not in message
    assert "log" in message
    assert f"POST {APPLY}: RuntimeError: secret detail" in caplog.messages
