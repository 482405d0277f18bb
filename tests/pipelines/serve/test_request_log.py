"""What is known of a request afterwards: its id, its parts, a line, and numbers."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from pipelines.serve.request_log import PARTS, Record, format_line

APPLY = "/v1/models/tiny:apply"


def read_metric(client: Any, name: str, **labels: str) -> float:
    """The sum of samples with these labels."""
    total = 0.0
    for line in client.get("/metrics").text.splitlines():
        found = re.fullmatch(rf"{name}\{{(.*)\}} (\S+)", line)
        if found and all(f'{label}="{value}"' in found[1] for label, value in labels.items()):
            total += float(found[2])
    return total


def test_an_answer_has_an_id_and_the_time_of_its_parts(client: Any, photo: bytes) -> None:
    answer = client.post(APPLY, files={"image": photo}, headers={"x-request-id": "job-7.a"})
    assert answer.headers["x-request-id"] == "job-7.a"
    timing = answer.headers["server-timing"]
    assert re.findall(r"(\w+);dur=[\d.]+", timing) == list(PARTS)


@pytest.mark.parametrize("given", ["", "two words", "x" * 65, "a\tb", "ü".encode()])
def test_an_id_that_is_none_is_replaced(client: Any, given: Any) -> None:
    answer = client.together([{"method": "GET", "url": "/livez", "headers": {"x-request-id": given}}])[0]
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_a_line_for_each_request(
    make_client: Callable[..., Any], photo: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    client = make_client(access_log="json")
    client.get("/livez")
    client.get("/docs/")
    client.post(APPLY, files={"image": photo}, data={"denoise": "0.25"}, headers={"x-request-id": "one"})
    client.post(APPLY, files={"image": photo}, data={"denoise": "2"}, headers={"x-request-id": "two"})
    client.get("/v1/models")
    good, bad, models = map(json.loads, capsys.readouterr().out.splitlines())
    assert (good["id"], good["status"], good["method"], good["path"]) == ("one", 200, "POST", APPLY)
    assert (good["model"], good["values"], good["pixels"]) == ("tiny", {"denoise": 0.25, "level": 25.0}, 1200)
    assert list(good["parts_ms"]) == list(PARTS)
    assert good["ms"] >= sum(good["parts_ms"].values()) - 1
    assert (bad["id"], bad["status"], bad["values"]) == ("two", 422, {})
    assert (models["status"], models["path"]) == (200, "/v1/models")
    make_client(access_log="none").get("/v1/models")
    assert capsys.readouterr().out == ""


def test_a_line_for_people_is_one_line() -> None:
    record = Record("a", "tiny", {"noise": 15.0}, 24_000_000, {"queue": 0.4, "network": 1234.5}, status=200)
    line = format_line("text", "POST", "/v1/\n", record, 1240.0)
    assert re.fullmatch(r"\S+ POST /v1/\\n 200 1240 ms id=a 24\.00 MP noise=15 queue=0 network=1234", line)
    assert " gone " in format_line("text", "POST", "/", Record("a"), 1.0)


def test_numbers_for_prometheus(client: Any, photo: bytes) -> None:
    for denoise in ("0", "1", "2"):
        client.post(APPLY, files={"image": photo}, data={"denoise": denoise})
    client.post(APPLY, data={"image": "0" * 64})
    assert read_metric(client, "tunable_requests_total", model="tiny", status="200") == 2
    assert read_metric(client, "tunable_requests_total", model="tiny", status="422") == 1
    for part in ("all", *PARTS):
        assert read_metric(client, "tunable_request_seconds_count", model="tiny", part=part) == 2
    assert read_metric(client, "tunable_kept_picture_lookups_total", result="gone") == 1
    assert read_metric(client, "tunable_pictures") == 0
    assert read_metric(client, "tunable_kept_picture_bytes") == 0
