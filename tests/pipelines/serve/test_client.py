"""The client on the standard library, against a really started endpoint and against servers with faults."""

import io
import pickle
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image

import zoo
from pipelines.serve.config import ServeConfig
from pipelines.serve.local import serve_locally

TOKEN = "0123456789abcdef"
pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def url(entry: zoo.Entry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text(TOKEN)
    # Room for one of two pictures.
    config = ServeConfig(port=0, engine="torch", token_file=str(token), max_kept_bytes=5000)
    with serve_locally({"tiny": entry.folder}, config) as url:
        yield url


def test_a_picture_at_many_settings(url: str, model: zoo.Predictor, photo: bytes) -> None:
    client = zoo.Client(f"{url}/", token=TOKEN)
    assert [card["name"] for card in client.list_models()] == ["tiny"]
    for denoise in (0.0, 0.5, 1.0):
        answer = client.apply("tiny", photo, {"denoise": denoise})
        expected = model(Image.open(io.BytesIO(photo)), denoise=denoise)
        assert (answer.picture().pixels == np.asarray(expected)).all()
        assert answer.values == {"denoise": denoise, "level": 25.0}
        assert (answer.version, answer.media_type) == (model.version, "image/png")
        assert answer.request_id


def test_a_picture_that_the_server_let_go_is_sent_again(url: str, photo: bytes) -> None:
    client = zoo.Client(url, token=TOKEN)
    other = io.BytesIO()
    Image.new("RGB", (40, 30)).save(other, "PNG")
    contents = [client.apply("tiny", content).content for content in (photo, other.getvalue(), photo)]
    assert contents[0] == contents[2] != contents[1]


def test_files_parts_and_formats(url: str, photo: bytes, tmp_path: Any) -> None:
    (tmp_path / "photo.png").write_bytes(photo)
    client = zoo.Client(url, token=TOKEN)
    answer = client.apply(
        "tiny",
        tmp_path / "photo.png",
        region=(0, 0, 20, 10),
        max_side=10,
        format="jpeg",
        quality=50,
        keep_metadata=False,
    )
    answer.save(tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as image:
        assert (image.format, image.size, dict(image.getexif())) == ("JPEG", (10, 5), {})


@pytest.mark.parametrize(
    ("model", "values", "token", "status", "code"),
    [
        ("tiny", {"denoise": 2}, TOKEN, 422, "invalid_slider"),
        ("huge", {}, TOKEN, 404, "unknown_model"),
        ("tiny", {}, "wrong", 401, "unauthorized"),
        ("a/../b", {}, TOKEN, 404, ""),
    ],
)
def test_refusals_are_errors_with_their_code(
    url: str, photo: bytes, model: str, values: dict[str, float], token: str, status: int, code: str
) -> None:
    with pytest.raises(zoo.EndpointError) as refused:
        zoo.Client(url, token=token).apply(model, photo, values)
    assert refused.value.status == status
    assert not code or refused.value.code == code
    copied = pickle.loads(pickle.dumps(refused.value))
    assert (str(copied), copied.status) == (str(refused.value), status)


def test_what_is_no_address_and_no_format() -> None:
    for address in ("127.0.0.1:8000", "file:///etc/passwd", "http://", ""):
        with pytest.raises(zoo.EndpointError, match="expected an address"):
            zoo.Client(address)
    with pytest.raises(zoo.EndpointError, match="expected a format of png, webp, jpeg, got 'tiff'"):
        zoo.Client("http://127.0.0.1:9").apply("tiny", b"", format="tiff")


class _Faulty(BaseHTTPRequestHandler):
    """Answers with each of the server's faults, and then well."""

    faults: list[Any]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("Authorization", ""))
        fault = self.faults.pop(0) if self.faults else None
        if fault == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"{")
            return
        body = b'{"models": []}' if fault is None else b"<html>busy</html>"
        self.send_response(fault or 200)
        if fault:
            self.send_header("Retry-After", "0")
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def faulty() -> Iterator[tuple[str, type[_Faulty]]]:
    handler = type("Handler", (_Faulty,), {"faults": [], "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()
        thread.join()


def test_a_busy_or_failing_server_is_asked_again(
    faulty: tuple[str, type[_Faulty]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, handler = faulty
    pauses: list[float] = []
    monkeypatch.setattr("zoo.client.time.sleep", pauses.append)
    handler.faults.extend([503, 429, "cut", 502])
    assert zoo.Client(url, token="secret").list_models() == []
    assert handler.asked == ["Bearer secret"] * 5
    assert pauses[0] == pauses[1] == pauses[3] == 0
    assert pauses[2] > 0


def test_it_gives_up_with_the_last_reason(
    faulty: tuple[str, type[_Faulty]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, handler = faulty
    monkeypatch.setattr("zoo.client.time.sleep", lambda _: None)
    handler.faults.extend([503] * 3)
    with pytest.raises(zoo.EndpointError, match="503: <html>busy") as refused:
        zoo.Client(url, retries=2).list_models()
    assert refused.value.status == 503
    assert len(handler.asked) == 3


@pytest.mark.parametrize("status", [301, 307, 404, 500])
def test_other_answers_are_not_repeated_and_no_token_goes_elsewhere(
    faulty: tuple[str, type[_Faulty]], status: int
) -> None:
    url, handler = faulty
    handler.faults.append(status)
    with pytest.raises(zoo.EndpointError) as refused:
        zoo.Client(url, token="secret").list_models()
    assert refused.value.status == status
    assert len(handler.asked) == 1
