"""How outcomes read."""

import json
from pathlib import Path, PurePosixPath

from pipelines.apply.inputs import Source
from pipelines.apply.outcome import Outcome
from pipelines.apply.outputs import Job
from zoo.pictures.formats import BY_NAME

FILE = Job(Source(Path("ä/a.jpg"), PurePosixPath("a.jpg")), Path("out/a.jpg"), BY_NAME["JPEG"])
STREAM = Job(Source(None, PurePosixPath("stdin")), None, BY_NAME["PNG"])


def test_json_says_all_on_one_line() -> None:
    outcome = Outcome(FILE, {"denoise": 0.699999988079071}, 24.0, 1.23456, (6000, 4000), note="it is rounded")
    text = outcome.json()
    assert "\n" not in text
    assert json.loads(text) == {
        "input": "ä/a.jpg",
        "output": "out/a.jpg",
        "status": "written",
        "seconds": 1.235,
        "megapixels": 24.0,
        "settings": {"denoise": 0.7},
        "note": "it is rounded",
        "error": None,
    }


def test_streams_are_dashes() -> None:
    line = json.loads(Outcome(STREAM, {}, error="it is broken").json())
    assert (line["input"], line["output"], line["status"], line["error"]) == (
        "-",
        "-",
        "failed",
        "it is broken",
    )


def test_sentences() -> None:
    assert Outcome(FILE, {}, skipped="it exists").sentence() == (
        "skipped out/a.jpg: it exists; --overwrite makes it again"
    )
    assert (
        Outcome(FILE, {}, error="cannot read ä/a.jpg: cut\nshort").sentence() == "failed ä/a.jpg: cut short"
    )
    assert Outcome(STREAM, {}, error="cut short").sentence() == "failed standard input: cut short"
