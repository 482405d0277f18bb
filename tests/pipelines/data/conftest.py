from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from pipelines.core.layout import Layout

Pixels = npt.NDArray[np.uint8]
Paint = Callable[..., Pixels]


def scene(seed: int, height: int = 32, width: int = 40) -> Pixels:
    """Smooth random colours: each seed another picture, any size of a seed the same picture."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


@pytest.fixture
def paint() -> Paint:
    return scene


@pytest.fixture
def save() -> Callable[..., Path]:
    def save(path: Path, seed: int, height: int = 32, width: int = 40) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene(seed, height, width)).save(path)
        return path

    return save


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "repository")
