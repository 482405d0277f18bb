"""Style images and bundled demonstration photographs: files of the user, or of the scikit-image package."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from pipelines.core.errors import DataError

SKIMAGE = "skimage:"
"""``skimage:ihc.png`` is a file inside the scikit-image package."""


def find_style_image(name: str, root: Path) -> Path:
    """Path of a style image.

    Args:
        name: a path, absolute or relative to ``root``, or ``skimage:<file>``.
        root: the repository root.

    Raises:
        DataError: there is no such file.
    """
    inside = name.startswith(SKIMAGE)
    if inside:
        path = bundled_image(name.removeprefix(SKIMAGE), "name your own files in train.task.styles")
    else:
        path = root / Path(name).expanduser()
    if not path.is_file():
        where = "the scikit-image package" if inside else str(root)
        raise DataError(f"expected a style image at {name!r}, found no such file in {where}")
    return path


def read_style_image(path: Path, side_px: int) -> Tensor:
    """Read an image as (3, H, W), RGB in [0, 1], its shorter side scaled to ``side_px``.

    Raises:
        DataError: the file is no image.
    """
    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"expected an image in {path}, got {type(error).__name__}: {error}") from error
    factor = side_px / min(image.size)
    size = (max(side_px, round(image.width * factor)), max(side_px, round(image.height * factor)))
    pixels = np.array(image.resize(size, Image.Resampling.LANCZOS))
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def bundled_image(name: str, instead: str) -> Path:
    """Path of an image inside the scikit-image package.

    Args:
        name: of the file.
        instead: what a user without the package can do, to end a message with.

    Raises:
        DataError: the package is not installed.
    """
    # Looked up, not imported: the package's own loader would reach for the network.
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise DataError(
            f"expected the scikit-image package for its image {name!r}, got none installed; "
            f"run `pip install scikit-image` or {instead}"
        )
    return Path(spec.origin).parent / "data" / name
