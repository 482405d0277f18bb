"""Fixtures of tests that measure: small photographs, options, and LPIPS without weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.data.photos import PhotoSet, write_photos
from pipelines.evaluate.config import EvaluateConfig, PictureConfig
from pipelines.features.lpips import LPIPS
from pipelines.measure.photographs import Batch, Batches, CenterCrops, Photographs
from pipelines.tasks import Task


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session", autouse=True)
def empty_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No weights that happen to be in this machine's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.hub, "get_dir", lambda: str(tmp_path_factory.mktemp("hub")))
        yield


@pytest.fixture(scope="session")
def lpips() -> LPIPS:
    return LPIPS("squeeze")  # the smallest trunk


@pytest.fixture
def config() -> EvaluateConfig:
    return small_config()


def small_config() -> EvaluateConfig:
    picture = PictureConfig(crop_px=16, values=3)
    return EvaluateConfig(steps=3, grid=3, threads=1, lpips_net="squeeze", picture=picture)


@pytest.fixture
def photos(tmp_path: Path) -> PhotoSet:
    return write_scenes(tmp_path / "artifacts" / "prepare" / "test")


def write_scenes(folder: Path) -> PhotoSet:
    return write_photos(folder, [(f"{seed}.png", scene(seed, 48, 48 - 7 * seed)) for seed in range(2)])


def scene(seed: int, height: int, width: int) -> np.ndarray[Any, Any]:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def photographs_of(task: Task, photos: PhotoSet, crop_px: int | None = None, seed: int = 0) -> Photographs:
    return Photographs(task, CenterCrops(photos, crop_px, task.scale), (seed, "evaluate"))


def photograph_of(task: Task, photos: PhotoSet, number: int = 0) -> Batch:
    [photograph] = Batches(photographs_of(task, photos), [number]).at_usual_levels()
    return photograph
