"""The page, in a browser, over the real app: what is shown is what the server answers."""

import base64
import io
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

import zoo
from picture_files import tiff
from pipelines.serve.app import PAGE, create_app
from pipelines.serve.config import ServeConfig
from published import publish_small
from tunable_models import Control, ControlSpace
from waiting import UNREACHED_S, wait_until

playwright = pytest.importorskip("playwright.sync_api", reason="drives a browser: pip install playwright")
expect = playwright.expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH: apt-get install chromium"),
]

SAMPLE = PAGE / "sample.jpg"
FOREVER_MS = UNREACHED_S * 1000
TOKEN = "a-token-for-these-tests"


@contextmanager
def serve(models: Mapping[str, zoo.Predictor], token: str = "", **options: Any) -> Iterator[str]:
    """The real app on a free port."""
    app = create_app(models, ServeConfig(**options), token)
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    host, port = server.servers[0].sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def styles(tmp_path_factory: pytest.TempPathFactory) -> zoo.Predictor:
    """A model of three sliders that share a sum."""
    space = ControlSpace.simplex(
        Control(name="first", default=1.0),
        Control(name="second", default=0.0),
        Control(name="third", default=0.0),
    )
    return zoo.load(str(publish_small(tmp_path_factory.mktemp("styles"), space, name="styles").folder))


@pytest.fixture(scope="module")
def endpoint(model: zoo.Predictor, enlarging: zoo.Predictor, styles: zoo.Predictor) -> Iterator[str]:
    with serve({"tiny": model, "large": enlarging, "styles": styles}) as url:
        yield url


# Not for the session: playwright keeps an event loop running in this thread, where other tests start theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    expect.set_options(timeout=FOREVER_MS)
    with playwright.sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=FOREVER_MS)
        yield chromium
        chromium.close()


class Requests:
    """What a page asks ``:apply`` for; answers can be held back or replaced."""

    def __init__(self, page: Any) -> None:
        self.fields: list[dict[str, str]] = []
        self.uploads: list[str] = []
        self.held: list[Any] = []
        self.instead: list[dict[str, Any]] = []
        self.holds = False
        page.route("**/v1/models/*:apply", self._on_apply)
        page.on("request", self._on_request)

    def hold(self) -> None:
        self.holds = True

    def release(self) -> None:
        self.holds = False
        while self.held:
            self.held.pop(0).continue_()

    def _on_request(self, request: Any) -> None:
        if request.method == "PUT":
            self.uploads.append(request.url.rpartition("/")[2])

    def _on_apply(self, route: Any) -> None:
        self.fields.append(parse_form(route.request.post_data_buffer))
        if self.instead:
            route.fulfill(**self.instead.pop(0))
        elif self.holds:
            self.held.append(route)
        else:
            route.continue_()


def parse_form(body: bytes) -> dict[str, str]:
    found = re.findall(rb'name="(\w+)"\r\n\r\n(.*?)\r\n--', body)
    return {name.decode(): value.decode() for name, value in found}


@pytest.fixture
def open_page(browser: Any, endpoint: str) -> Iterator[Callable[..., Any]]:
    """Opens the page; at the end nothing on it may have failed."""
    contexts, errors = [], []

    def open_at(fragment: str = "", url: str = endpoint, prepare: Any = None, **options: Any) -> Any:
        options = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **options}
        context = browser.new_context(**options)
        context.set_default_timeout(FOREVER_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if is_failure(message) else None)
        page.asked = Requests(page)
        if prepare:
            prepare(page.asked)
        page.goto(f"{url}/docs/{fragment}")
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert errors == []


def is_failure(message: Any) -> bool:
    # Browsers log every 4xx, which some tests provoke.
    return message.type in ("error", "warning") and "Failed to load resource" not in message.text


def wait_for(page: Any, state: str) -> None:
    expect(page.locator("#stage")).to_have_attribute("data-state", state)


def wait_until_idle(page: Any) -> None:
    wait_for(page, "exact")
    expect(page.locator("#stage")).to_have_attribute("data-busy", "")


def read_after(page: Any, width: int, height: int) -> np.ndarray:
    """The pixels on the after side, at 1:1 and with the wipe at the left end."""
    page.locator("#actual").click()
    page.locator("#wipe").press("Home")
    wait_for(page, "exact")
    canvas = read_canvas(page)
    top, left = ((room - size + 1) // 2 for room, size in zip(canvas.shape, (height, width), strict=False))
    return canvas[top : top + height, left : left + width]


def read_canvas(page: Any) -> np.ndarray:
    """What is painted, once the frame that was asked for is."""
    address = page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() =>"
        " done(document.getElementById('canvas').toDataURL()))))"
    )
    return decode(base64.b64decode(address.partition(",")[2]))


def restore(endpoint: str, name: str, image: bytes, **fields: Any) -> bytes:
    """The server's own answer."""
    data = {key: str(value) for key, value in fields.items()}
    files = {"image": ("picture", image)}
    url = f"{endpoint}/v1/models/{name}:apply"
    response = httpx.post(url, files=files, data=data, timeout=UNREACHED_S)
    assert response.status_code == 200, response.text
    return response.content


def decode(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def slider(page: Any, name: str) -> Any:
    return page.get_by_label(name, exact=True)


def error(code: str, **headers: str) -> dict[str, Any]:
    status = {"image_gone": 410, "image_too_large": 413, "busy": 429}[code]
    body = {"error": {"code": code, "message": "as a test wants it", "request_id": "1"}}
    return {"status": status, "json": body, "headers": headers}


def test_the_sample_works_before_anything_is_chosen(open_page: Callable[..., Any], endpoint: str) -> None:
    page = open_page()
    wait_for(page, "exact")
    expect(page.locator("#after-label")).to_have_text("after")
    shown = read_after(page, 600, 400)
    assert np.array_equal(shown, decode(restore(endpoint, "tiny", SAMPLE.read_bytes(), level=25, denoise=1)))


def test_a_key_moves_a_slider_and_the_answer_is_the_servers(
    open_page: Callable[..., Any], endpoint: str
) -> None:
    page = open_page("#model=tiny&level=20")
    wait_for(page, "exact")
    slider(page, "level").press("ArrowRight")
    expect(slider(page, "level, exact value")).to_have_value("20.5")
    wait_for(page, "exact")
    expected = decode(restore(endpoint, "tiny", SAMPLE.read_bytes(), level=20.5, denoise=1))
    assert np.array_equal(read_after(page, 600, 400), expected)


def test_the_newest_value_comes_next_and_the_preview_is_marked(open_page: Callable[..., Any]) -> None:
    page = open_page()
    slider(page, "level").focus()
    wait_until_idle(page)  # and so the corners are here
    asked = page.asked
    asked.fields.clear()
    asked.hold()
    for _ in range(4):
        slider(page, "level").press("ArrowRight")
        wait_for(page, "preview")
        expect(page.locator("#after-label")).to_have_text("preview")
    asked.release()
    wait_for(page, "exact")
    expect(page.locator("#after-label")).to_have_text("after")
    assert [fields["level"] for fields in asked.fields if "region" not in fields][:2] == ["25.5", "27"]


def test_nothing_unprocessed_is_shown_as_after(open_page: Callable[..., Any]) -> None:
    page = open_page(prepare=Requests.hold)
    wait_for(page, "computing")
    expect(page.locator("#after-label")).to_have_text("computing…")
    page.locator("#wipe").press("Home")
    hatched = read_canvas(page)
    assert np.ptp(hatched.astype(int), axis=2).max() < 20  # grey, unlike the picture
    page.locator("#wipe").press("End")
    assert np.ptp(read_canvas(page).astype(int), axis=2).max() > 100
    page.asked.release()
    wait_for(page, "exact")


def test_another_setting_keeps_its_name_until_the_answer_comes(open_page: Callable[..., Any]) -> None:
    page = open_page()
    wait_until_idle(page)
    page.asked.hold()
    page.get_by_label("Model", exact=True).select_option("styles")
    wait_for(page, "previous")
    expect(page.locator("#after-label")).to_contain_text("tiny, denoise 1, level 25")
    page.asked.release()
    wait_for(page, "exact")


def test_zoom_pan_and_before(open_page: Callable[..., Any]) -> None:
    page = open_page()
    wait_for(page, "exact")
    zoom, before, after = page.locator("#zoom"), page.locator("#before-label"), page.locator("#after-label")
    fitted = zoom.text_content()
    page.mouse.move(300, 300)
    page.mouse.wheel(0, -400)
    expect(zoom).not_to_have_text(fitted)
    assert int(zoom.text_content().split()[0]) > int(fitted.split()[0])
    placed = read_canvas(page)
    page.mouse.down()
    page.mouse.move(340, 320, steps=4)
    page.mouse.up()
    moved = read_canvas(page)
    # The before side moved with the pointer, to the pixel; smoothing rounds by its place.
    apart = moved[120:300, 140:300].astype(int) - placed[100:280, 100:260]
    assert np.abs(apart).max() <= 1
    page.mouse.dblclick(300, 300)
    expect(zoom).to_have_text("100 %")
    page.mouse.dblclick(300, 300)
    expect(zoom).to_have_text(fitted)
    page.locator("#viewport").press("1")
    expect(zoom).to_have_text("100 %")
    page.locator("#fit").click()
    expect(zoom).to_have_text(fitted)
    slider(page, "level").focus()
    page.keyboard.down(" ")
    expect(after).to_have_class("label unseen")
    expect(before).to_have_class("label")
    page.keyboard.up(" ")
    expect(after).to_have_class("label")


def test_the_address_restores_model_and_setting(open_page: Callable[..., Any]) -> None:
    page = open_page("#model=large&accuracy=0.25")
    expect(page.get_by_label("Model", exact=True)).to_have_value("large")
    expect(slider(page, "perception, exact value")).to_have_value("0.75")
    slider(page, "accuracy").press("ArrowRight")
    expect(page).to_have_url(re.compile(r"#model=large&accuracy=0\.26&perception=0\.74$"))
    wait_for(page, "exact")


def test_unknown_models_and_values_in_the_address_do_no_harm(open_page: Callable[..., Any]) -> None:
    page = open_page("#model=other&level=1e9&denoise=much")
    wait_for(page, "exact")
    expect(slider(page, "level, exact value")).to_have_value("50")
    expect(slider(page, "denoise, exact value")).to_have_value("1")


def test_a_forgotten_picture_is_sent_again(open_page: Callable[..., Any]) -> None:
    page = open_page(prepare=lambda asked: asked.instead.append(error("image_gone")))
    wait_for(page, "exact")
    first, second = page.asked.uploads
    assert first == second == page.asked.fields[0]["image"]


def test_a_picture_that_is_forgotten_again_goes_with_the_request(
    open_page: Callable[..., Any], endpoint: str
) -> None:
    page = open_page(prepare=lambda asked: asked.instead.extend([error("image_gone")] * 2))
    wait_for(page, "exact")
    assert len(page.asked.uploads) == 2
    assert ["image" in fields for fields in page.asked.fields[:3]] == [True, True, False]
    slider(page, "level").press("ArrowRight")
    wait_until_idle(page)
    assert not [fields for fields in page.asked.fields[3:] if "image" in fields]
    assert len(page.asked.uploads) == 2
    expected = decode(restore(endpoint, "tiny", SAMPLE.read_bytes(), level=25.5, denoise=1))
    assert np.array_equal(read_after(page, 600, 400), expected)


def test_a_picture_that_is_refused_after_that_is_told(open_page: Callable[..., Any]) -> None:
    answers = [error("image_gone"), error("image_gone"), error("image_too_large")]
    page = open_page(prepare=lambda asked: asked.instead.extend(answers))
    expect(page.locator("#problem-text")).to_contain_text("The picture is too large: choose one of at most")
    assert len(page.asked.uploads) == 2


def test_a_server_without_room_gets_the_picture_with_each_request(
    open_page: Callable[..., Any], model: zoo.Predictor
) -> None:
    data = tiff(np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8))
    with serve({"tiny": model}, max_kept_bytes=1000) as url:
        page = open_page(url=url)
        wait_until_idle(page)
        page.locator("#file").set_input_files({"name": "scan.tif", "mimeType": "image/tiff", "buffer": data})
        expect(page.locator("#wipe")).to_be_hidden()
        wait_until_idle(page)
        assert len(page.asked.uploads) == 2
        assert not [fields for fields in page.asked.fields if "image" in fields]
        page.context.close()  # the server waits for its connections


def test_a_busy_server_is_asked_again_when_it_says_so(open_page: Callable[..., Any]) -> None:
    page = open_page()
    slider(page, "level").focus()
    wait_until_idle(page)
    page.asked.instead.append(error("busy", **{"Retry-After": "1"}))
    slider(page, "level").press("ArrowRight")
    expect(page.locator("#problem-text")).to_contain_text("busy")
    expect(page.locator("#countdown")).to_contain_text("Trying again in")
    wait_for(page, "exact")
    expect(page.locator("#problem")).to_be_hidden()


def test_a_file_that_is_no_picture_leaves_the_last_one(open_page: Callable[..., Any]) -> None:
    page = open_page()
    wait_for(page, "exact")
    page.locator("#file").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(page.locator("#problem-text")).to_contain_text("cannot read this file")
    wait_for(page, "exact")


def test_a_picture_that_browsers_cannot_show(open_page: Callable[..., Any], endpoint: str) -> None:
    data = tiff(np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8))
    page = open_page()
    wait_for(page, "exact")
    page.locator("#file").set_input_files({"name": "scan.tif", "mimeType": "image/tiff", "buffer": data})
    expect(page.locator("#wipe")).to_be_hidden()
    wait_until_idle(page)
    page.locator("#actual").click()
    canvas = read_canvas(page)
    top, left = ((room - size + 1) // 2 for room, size in zip(canvas.shape, (48, 64), strict=False))
    expected = decode(restore(endpoint, "tiny", data, level=25, denoise=1))
    assert np.array_equal(canvas[top : top + 48, left : left + 64], expected)


def test_a_large_picture(open_page: Callable[..., Any]) -> None:
    rows, columns = np.mgrid[:1200, :1600]
    pixels = np.stack([rows % 256, columns % 256, (rows + columns) % 256], axis=-1).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG")
    page = open_page()
    wait_for(page, "exact")
    page.locator("#file").set_input_files(
        {"name": "large.jpg", "mimeType": "image/jpeg", "buffer": out.getvalue()}
    )
    wait_until_idle(page)
    _, large, small = page.asked.uploads  # of the smaller one come the corners
    exact = [fields for fields in page.asked.fields if fields["image"] == large and "region" not in fields]
    assert [int(fields["max_side"]) < 1600 for fields in exact] == [True]
    assert {fields["image"] for fields in page.asked.fields} >= {large, small}
    page.locator("#actual").click()
    wait_until_idle(page)
    assert page.asked.fields[-1].keys() >= {"region"}
    page.locator("#fit").click()
    slider(page, "level").focus()
    expect(page.locator("#stage")).to_have_attribute("data-preview", "ready")
    page.asked.hold()
    slider(page, "level").press("ArrowRight")
    wait_for(page, "preview")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#status")).to_have_text("Cancelled")
    page.asked.release()
    page.get_by_role("button", name="Compute").click()
    wait_until_idle(page)


def test_a_token_is_asked_for(open_page: Callable[..., Any], model: zoo.Predictor) -> None:
    with serve({"tiny": model}, TOKEN) as url:
        page = open_page(url=url)
        page.get_by_label("Token", exact=True).fill("another-token-than-that")
        page.keyboard.press("Enter")
        expect(page.locator("#refused")).to_be_visible()
        page.get_by_label("Token", exact=True).fill(TOKEN)
        page.keyboard.press("Enter")
        wait_for(page, "exact")
        page.context.close()  # the server waits for its connections


def test_sliders_that_share_a_sum(open_page: Callable[..., Any], endpoint: str) -> None:
    page = open_page("#model=styles")
    wait_for(page, "exact")
    for _ in range(40):
        slider(page, "first").press("ArrowLeft")
    wait_for(page, "exact")
    values = [
        float(slider(page, f"{name}, exact value").input_value()) for name in ("first", "second", "third")
    ]
    assert values == [0.6, 0.2, 0.2]
    sent = {"first": 0.6, "second": 0.2, "third": 0.2}
    expected = decode(restore(endpoint, "styles", SAMPLE.read_bytes(), **sent))
    assert np.array_equal(read_after(page, 600, 400), expected)
    page.locator("#pad").click(position={"x": 60, "y": 1})  # the triangle's top
    assert float(slider(page, "second, exact value").input_value()) > 0.95


def test_the_pad_and_the_strip_set_values(open_page: Callable[..., Any]) -> None:
    page = open_page()
    wait_until_idle(page)
    page.get_by_role("button", name="denoise 0.25").click()
    expect(slider(page, "denoise, exact value")).to_have_value("0.25")
    expect(page.get_by_role("button", name="denoise 0.25")).to_have_attribute("aria-pressed", "true")
    slider(page, "level").focus()
    expect(page.get_by_role("button", name="level 37.5")).to_be_visible()
    page.locator("#pad").click(position={"x": 60, "y": 60})
    assert float(slider(page, "denoise, exact value").input_value()) == pytest.approx(0.5, abs=0.03)
    assert float(slider(page, "level, exact value").input_value()) == pytest.approx(25, abs=1.5)
    wait_until_idle(page)


@pytest.mark.parametrize(("label", "suffix", "format"), [("PNG", "png", "PNG"), ("JPEG", "jpg", "JPEG")])
def test_download(open_page: Callable[..., Any], endpoint: str, label: str, suffix: str, format: str) -> None:
    page = open_page("#model=tiny&level=15")
    wait_for(page, "exact")
    page.locator("#actual").click()
    page.get_by_label("Format of the download").select_option(label)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download").click()
    assert waiting.value.suggested_filename == f"sample-tiny-denoise=1-level=15.{suffix}"
    data = Path(waiting.value.path()).read_bytes()
    assert Image.open(io.BytesIO(data)).format == format
    if format == "PNG":
        expected = restore(endpoint, "tiny", SAMPLE.read_bytes(), level=15, denoise=1, metadata="keep")
        assert np.array_equal(decode(data), decode(expected))


def test_keys_alone(open_page: Callable[..., Any]) -> None:
    page = open_page()
    wait_for(page, "exact")
    wipe = page.get_by_role("slider", name="Wipe between before and after")
    wipe.press("ArrowRight")
    expect(wipe).to_have_attribute("aria-valuenow", "51")
    page.get_by_role("button", name="API").press("Enter")
    expect(page.locator("#curl")).to_contain_text("-F level=25")
    expect(page.locator("#call table").first).to_contain_text("Noise to expect.")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="API")).to_be_focused()
    expect(page.locator("#live")).to_contain_text("Result for tiny")


def test_all_is_in_view_on_a_phone(open_page: Callable[..., Any]) -> None:
    page = open_page(viewport={"width": 400, "height": 800})
    wait_for(page, "exact")
    assert page.evaluate(
        "document.documentElement.scrollWidth <= 400 && document.documentElement.scrollHeight <= 800"
    )
    for place in ("#canvas", "#fit", "#actual", "#download", "#format", "#link", "#help", "#range-denoise"):
        expect(page.locator(place)).to_be_in_viewport(ratio=1)
