"""What the README shows runs as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from pipelines.config import parse_section
from pipelines.data.config import PrepareConfig

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNABLE_ZOO_STORE", str(tmp_path / "none"))
    pixels = np.random.default_rng(0).integers(0, 256, (33, 47, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("photo.png")
    [code] = blocks("python")
    names: dict[str, object] = {}
    exec(code, names)
    assert names["restored"].size == (47, 33)  # type: ignore[attr-defined]
    assert "('denoise', 0.0, 1.0)" in capsys.readouterr().out


def test_the_parameters_are_valid() -> None:
    [text] = blocks("yaml")
    assert parse_section(yaml.safe_load(text)["prepare"], "prepare", PrepareConfig).source == "data/photos"


def test_every_file_it_names_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    paths = re.findall(r"`((?:tunable_models|pipelines|zoo|tests|benchmarks|data)/[\w./-]*)`", README)
    assert links
    assert paths
    assert [path for path in [*links, *paths] if not (ROOT / path).exists()] == []
