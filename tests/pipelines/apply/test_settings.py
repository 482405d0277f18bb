"""Sliders from files: for all, for each, and what is wrong in them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.apply.settings import Settings, combine, read_settings
from pipelines.core.errors import ConfigError, PipelineError
from tunable_models import Control, ControlSpace, OmegaError

Write = Callable[[str, str], Path]

SPACE = ControlSpace.box("denoise", Control(name="level", high=50.0, default=25.0))
NAMES = ["a.jpg", "sub/b.jpg"]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def write_(name: str, text: str) -> Path:
        Path(name).write_text(text, encoding="utf-8")
        return Path(name)

    return write_


ALL = [
    ("one.json", '{"denoise": 0.5, "level": 10}'),
    ("one.yaml", "denoise: 0.5\nlevel: 10\n"),
    ("one.yml", "{denoise: 0.5, level: 10}"),
    ("one.csv", "denoise,level\n0.5,10\n"),
    ("one.CSV", "\ufeffdenoise,level\r\n0.5,1e1\r\n\r\n"),
]
EACH = [
    ("each.json", '{"a.jpg": {"denoise": 0.5}, "sub/b.jpg": {"denoise": 0, "level": 10}}'),
    ("each.yaml", "a.jpg: {denoise: 0.5}\nsub/b.jpg:\n  denoise: 0\n  level: 10\n"),
    ("each.csv", "picture,denoise,level\na.jpg,0.5,\nsub/b.jpg,0,10\n"),
]


@pytest.mark.parametrize(("name", "text"), ALL)
def test_one_setting_for_all(write: Write, name: str, text: str) -> None:
    settings = combine({}, write(name, text), SPACE, NAMES)
    assert settings.of("a.jpg") == settings.of("sub/b.jpg") == {"denoise": 0.5, "level": 10.0}


@pytest.mark.parametrize(("name", "text"), EACH)
def test_one_setting_for_each(write: Write, name: str, text: str) -> None:
    settings = combine({}, write(name, text), SPACE, NAMES)
    assert settings.of("a.jpg") == {"denoise": 0.5}
    assert settings.of("sub/b.jpg") == {"denoise": 0.0, "level": 10.0}


def test_what_is_common_stands_behind_what_is_a_picture_s_own(write: Write) -> None:
    path = write("mixed.json", '{"denoise": 0.5, "a.jpg": {"denoise": 1}}')
    settings = combine({"level": 3.0}, path, SPACE, NAMES)
    assert settings.of("a.jpg") == {"denoise": 1.0, "level": 3.0}
    assert settings.of("sub/b.jpg") == {"denoise": 0.5, "level": 3.0}
    assert combine({"level": 3.0}, None, SPACE, NAMES) == Settings({"level": 3.0}, {})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("s.txt", "", "expected .json, .yaml or .csv, got '.txt'"),
        ("s.json", "[1]", "s.json: expected sliders, or pictures with sliders, got a list"),
        ("s.json", "{", "s.json: "),
        ("s.json", '{"denoise": 0.5, "denoise": 1}', "denoise"),
        ("s.json", '{"denoise": "0.5"}', "s.json: denoise: expected a number such as 0.5, got '0.5'"),
        ("s.json", '{"a.jpg": {"denoise": true}}', "s.json: a.jpg: denoise: expected a number"),
        ("s.json", '{"a.jpeg": {"denoise": 1}}', "s.json: 'a.jpeg' is not among .*; did you mean 'a.jpg'"),
        ("s.json", '{"z": {"denoise": 1}}', "'z' is not among the pictures.*a.jpg"),
        ("s.json", '{"level": 1}', "level is set by --set and in s.json; keep one"),
        ("s.yaml", "denoise: 0.5\ndenoise: 1\n", "twice"),
        ("s.yaml", "a: [", "s.yaml is not valid YAML"),
        ("s.csv", "", "s.csv: expected CSV with a row of names"),
        ("s.csv", "denoise\n0.5\n1\n", "expected one row for all, or a column 'picture', got 2 rows"),
        ("s.csv", "denoise,denoise\n1,1\n", "a column stands twice"),
        ("s.csv", "picture,denoise\na.jpg,1\na.jpg,0\n", "'a.jpg' stands twice; keep one row"),
        ("s.csv", "picture,denoise\na.jpg\n", "expected 2 cells in each row, got 1: a.jpg"),
        ("s.csv", 'denoise\n"0,5"\n', r"s.csv: denoise: expected a number .*the decimal mark is a point"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file(write: Write, name: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        combine({"level": 1.0}, write(name, text), SPACE, NAMES)


def test_sliders_that_are_not_the_model_s(write: Write) -> None:
    for text, said in (
        ('{"denoize": 1}', r"s.json: .*denoize.*did you mean 'denoise'"),
        ('{"a.jpg": {"level": 60}}', r"s.json, a.jpg: .*60"),
    ):
        with pytest.raises(OmegaError, match=said):
            combine({}, write("s.json", text), SPACE, NAMES)
    with pytest.raises(OmegaError, match=r"^(?!.*json).*denoize"):
        combine({"denoize": 1.0}, write("s.json", "{}"), SPACE, NAMES)


def test_sliders_that_share_a_sum(write: Write) -> None:
    space = ControlSpace.simplex("accuracy", "calm")
    path = write("s.json", '{"a.jpg": {"accuracy": 0.9}}')
    with pytest.raises(OmegaError, match=r"s.json, a.jpg: .*sum"):
        combine({"calm": 0.5}, path, space, NAMES)


def test_yaml_is_asked_for_where_it_is_missing(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.apply.settings.find_spec", lambda _: None)
    with pytest.raises(
        PipelineError, match=r"s.yaml needs yaml: pip install pyyaml, or write .* JSON or CSV"
    ):
        read_settings(write("s.yaml", "denoise: 1"))
