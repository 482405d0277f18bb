"""Sliders from files: for all, for each, and what is wrong in them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.apply.settings import Settings, combine_settings, read_settings
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
    settings = combine_settings({}, write(name, text), SPACE, NAMES)
    assert settings.of("a.jpg") == settings.of("sub/b.jpg") == {"denoise": 0.5, "level": 10.0}


@pytest.mark.parametrize(("name", "text"), EACH)
def test_one_setting_for_each(write: Write, name: str, text: str) -> None:
    settings = combine_settings({}, write(name, text), SPACE, NAMES)
    assert settings.of("a.jpg") == {"denoise": 0.5}
    assert settings.of("sub/b.jpg") == {"denoise": 0.0, "level": 10.0}


def test_values_of_a_picture_override_common_ones(write: Write) -> None:
    path = write("mixed.json", '{"denoise": 0.5, "a.jpg": {"denoise": 1}}')
    settings = combine_settings({"level": 3.0}, path, SPACE, NAMES)
    assert settings.of("a.jpg") == {"denoise": 1.0, "level": 3.0}
    assert settings.of("sub/b.jpg") == {"denoise": 0.5, "level": 3.0}
    assert combine_settings({"level": 3.0}, None, SPACE, NAMES) == Settings({"level": 3.0}, {})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("s.txt", "", "got \'.txt\'"),
        ("s.json", "[1]", "s.json: .*list"),
        ("s.json", "{", "s.json: "),
        ("s.json", '{"denoise": 0.5, "denoise": 1}', "denoise"),
        ("s.json", '{"denoise": "0.5"}', "s.json: denoise: .*'0.5'"),
        ("s.json", '{"a.jpg": {"denoise": true}}', "s.json: a.jpg: denoise: .*True"),
        ("s.json", '{"a.jpeg": {"denoise": 1}}', "s.json: 'a.jpeg' .*'a.jpg'"),
        ("s.json", '{"z": {"denoise": 1}}', "'z' .*a.jpg"),
        ("s.json", '{"level": 1}', "level .*--set .*s.json"),
        ("s.yaml", "denoise: 0.5\ndenoise: 1\n", "denoise"),
        ("s.yaml", "a: [", "s.yaml"),
        ("s.csv", "", "s.csv: expected CSV"),
        ("s.csv", "denoise\n0.5\n1\n", "'picture', got 2"),
        ("s.csv", "denoise,denoise\n1,1\n", "duplicate column"),
        ("s.csv", "picture,denoise\na.jpg,1\na.jpg,0\n", "duplicate picture 'a.jpg'"),
        ("s.csv", "picture,denoise\na.jpg\n", "got 1: a.jpg"),
        ("s.csv", 'denoise\n"0,5"\n', "s.csv: denoise: .*0,5"),
    ],
)  # fmt: skip
def test_an_invalid_file_is_refused(write: Write, name: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        combine_settings({"level": 1.0}, write(name, text), SPACE, NAMES)


def test_sliders_that_are_not_the_model_s(write: Write) -> None:
    for text, said in (
        ('{"denoize": 1}', r"s.json: .*denoize.*did you mean 'denoise'"),
        ('{"a.jpg": {"level": 60}}', r"s.json, a.jpg: .*60"),
    ):
        with pytest.raises(OmegaError, match=said):
            combine_settings({}, write("s.json", text), SPACE, NAMES)
    with pytest.raises(OmegaError, match=r"^(?!.*json).*denoize"):
        combine_settings({"denoize": 1.0}, write("s.json", "{}"), SPACE, NAMES)


def test_sliders_that_share_a_sum(write: Write) -> None:
    space = ControlSpace.simplex("accuracy", "calm")
    path = write("s.json", '{"a.jpg": {"accuracy": 0.9}}')
    with pytest.raises(OmegaError, match=r"s.json, a.jpg: .*sum"):
        combine_settings({"calm": 0.5}, path, space, NAMES)


def test_a_missing_yaml_package_is_reported(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.apply.settings.find_spec", lambda _: None)
    with pytest.raises(PipelineError, match="pip install pyyaml"):
        read_settings(write("s.yaml", "denoise: 1"))
