"""Style pictures: files of the user, or colourful ones that come inside the scikit-image package."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from pipelines.core.errors import DataError
from pipelines.data.bundled import bundled

SKIMAGE = "skimage:"
"""``skimage:ihc.png`` is a file inside the scikit-image package."""


def painting_file(name: str, root: Path) -> Path:
    """Where a style picture lies.

    Args:
        name: a path, absolute or relative to ``root``, or ``skimage:<file>``.
        root: the repository root.

    Raises:
        DataError: there is no such file.
    """
    inside = name.startswith(SKIMAGE)
    path = _inside(name) if inside else root / Path(name).expanduser()
    if not path.is_file():
        where = "the scikit-image package" if inside else str(root)
        raise DataError(f"expected a style picture at {name!r}, found no such file in {where}")
    return path


def read_painting(path: Path, side_px: int) -> Tensor:
    """The picture (3, H, W), RGB in [0, 1], its shorter side scaled to ``side_px``.

    Raises:
        DataError: the file is no picture.
    """
    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"expected a picture in {path}, got {type(error).__name__}: {error}") from error
    factor = side_px / min(image.size)
    size = (max(side_px, round(image.width * factor)), max(side_px, round(image.height * factor)))
    pixels = np.array(image.resize(size, Image.Resampling.LANCZOS))
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def _inside(name: str) -> Path:
    return bundled(name.removeprefix(SKIMAGE), "name your own files in train.task.styles")
