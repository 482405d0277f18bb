"""Load models, and with them decode, restore and encode an uploaded picture."""

from collections.abc import Mapping
from pathlib import Path

import torch

from pipelines.serve.config import ServeConfig
from pipelines.serve.errors import RequestError
from pipelines.serve.queue import SMALL_PX, Work
from zoo import ImageError, ImageTooLargeError, Predictor, load, read_picture
from zoo.pictures.formats import BY_NAME
from zoo.pictures.images import read_header


def load_models(entries: Mapping[str, Path], config: ServeConfig) -> dict[str, Predictor]:
    """The models of entries, by name, on as many threads of this process as the options say."""
    torch.set_num_threads(config.threads)
    device = "cuda" if config.num_gpus else "cpu"
    models = {name: load(str(path), device=device, engine=config.engine) for name, path in entries.items()}
    for model in models.values():
        model.whole_px = SMALL_PX  # what is larger can stop between tiles
    return models


def measure_picture(image: bytes, max_pixels: int) -> int:
    """The number of pixels of an encoded picture, from its header.

    Raises:
        RequestError: 413 too many pixels, 422 not a readable picture, or several pages.
    """
    try:
        header = read_header(image)
    except ImageTooLargeError as error:
        raise _too_large(max_pixels) from error
    except ImageError as error:
        raise RequestError(str(error), status=422, code="bad_image") from error
    if header.pages > 1:
        message = f"expected a single picture, got {header.count}; send them one by one"
        raise RequestError(message, status=422, code="bad_image")
    if header.pixels > max_pixels:
        raise _too_large(max_pixels)
    return header.pixels


def restore_picture(
    model: Predictor, image: bytes, values: Mapping[str, float], max_pixels: int, work: Work
) -> bytes:
    """Apply a model to an encoded picture, tile by tile, as long as somebody waits for it.

    Returns:
        A PNG with the picture's color profile; floating-point input becomes 16 bits.

    Raises:
        RequestError: 413 too many pixels, 422 not a readable picture.
        Abandoned: nobody waits any more.
    """
    try:
        picture = read_picture(image, max_pixels=max_pixels)
        work.check()
        restored = model.restore(picture, values, on_tile=lambda done, total: work.check())
    except ImageTooLargeError as error:
        raise _too_large(max_pixels) from error
    except ImageError as error:
        raise RequestError(str(error), status=422, code="bad_image") from error
    # Higher levels save a few percent of a photograph and take several times as long.
    return BY_NAME["PNG"].encode(restored, level=1)


def _too_large(max_pixels: int) -> RequestError:
    message = f"expected a picture of at most {max_pixels:,} pixels, got more; make it smaller"
    return RequestError(message, status=413, code="image_too_large")
