"""Load models, and with them decode, restore and encode pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from pipelines.core.errors import ConfigError
from pipelines.serve.answers import encode_answer
from pipelines.serve.apply_request import RESERVED, Options
from pipelines.serve.config import ServeConfig
from pipelines.serve.errors import RequestError
from pipelines.serve.queue import SMALL_PX, Work
from pipelines.serve.request_log import Record
from zoo import ImageError, ImageTooLargeError, Picture, Predictor, load, read_picture
from zoo.pictures.images import read_header
from zoo.predictor import Region, check_region


def load_models(entries: Mapping[str, Path], config: ServeConfig) -> dict[str, Predictor]:
    """The models of entries, by name, on as many threads of this process as the options say.

    Raises:
        ConfigError: a slider has the name of another field of a request.
    """
    torch.set_num_threads(config.threads)
    device = "cuda" if config.num_gpus else "cpu"
    models = {name: load(str(path), device=device, engine=config.engine) for name, path in entries.items()}
    for name, model in models.items():
        model.whole_px = SMALL_PX  # what is larger can stop between tiles
        if taken := [control.name for control in model.controls if control.name in RESERVED]:
            raise ConfigError(
                f"{name}: expected sliders with other names than a request's own fields, "
                f"{', '.join(RESERVED)}; got {taken[0]}: publish the model with another name for it"
            )
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
        raise _bad_image(error) from error
    if header.pages > 1:
        message = f"expected a single picture, got {header.count}; send them one by one"
        raise RequestError(message, status=422, code="bad_image")
    check_pixels(header.pixels, max_pixels)
    return header.pixels


def decode_picture(image: bytes, max_pixels: int) -> Picture:
    """An encoded picture, decoded and upright.

    Raises:
        RequestError: 413 too many pixels, 422 not a readable picture.
    """
    try:
        return read_picture(image, max_pixels=max_pixels)
    except ImageTooLargeError as error:
        raise _too_large(max_pixels) from error
    except ImageError as error:
        raise _bad_image(error) from error


@dataclass(frozen=True)
class Restoration:
    """A picture to restore for a request.

    Attributes:
        model: that restores it.
        picture: decoded, or the bytes of its file.
        values: of all sliders.
        options: of the request.
        accepted: media types, the preferred one first.
        max_pixels: more are not computed.
        record: takes the times.
    """

    model: Predictor
    picture: Picture | bytes
    values: Mapping[str, float]
    options: Options
    accepted: Sequence[str]
    max_pixels: int
    record: Record

    def __call__(self, work: Work) -> tuple[bytes, str]:
        """Do it, tile by tile, as long as somebody waits for it.

        Returns:
            The answer's file with the picture's colour profile, and its media type; floating-point input
            becomes 16 bits in a PNG.

        Raises:
            RequestError: 406 no accepted format holds the answer, 413 too many pixels, 422 not a readable
                picture, or a region that is not in it.
            Abandoned: nobody waits any more.
        """
        picture = self.picture
        if isinstance(picture, bytes):
            with self.record.measure("decode"):
                picture = decode_picture(picture, self.max_pixels)
        work.check()
        region, max_side = self.options.region, self.options.max_side
        if region is not None:
            check_part(region, picture)
        try:
            with self.record.measure("network"):
                restored = self.model.restore(
                    picture, self.values, region=region, on_tile=lambda done, total: work.check()
                )
        except ImageTooLargeError as error:
            raise _too_large(self.max_pixels) from error
        except ImageError as error:
            raise _bad_image(error) from error
        with self.record.measure("encode"):
            if max_side is not None:
                restored = restored.reduced(max_side)
            return encode_answer(restored, self.accepted, self.options, self._describe())

    def _describe(self) -> str:
        """What made the picture, for its EXIF."""
        settings = " ".join(f"{name}={value:.6g}" for name, value in self.values.items())
        return f"{_name_library()} {self.model.name}@{self.model.version} {settings}"


@cache
def _name_library() -> str:
    return f"tunable-zoo {version('tunable-zoo')}"  # reads a file


def check_part(region: Region, picture: Picture) -> None:
    """Check that a region is in a picture.

    Raises:
        RequestError: 422, it is not.
    """
    try:
        check_region(region, *picture.size)
    except ImageError as error:
        raise RequestError(str(error), status=422, code="invalid_option") from error


def check_pixels(pixels: int, max_pixels: int) -> None:
    """Check the size of what is to be computed.

    Raises:
        RequestError: 413, it is too large.
    """
    if pixels > max_pixels:
        raise _too_large(max_pixels)


def _too_large(max_pixels: int) -> RequestError:
    message = f"expected a picture of at most {max_pixels:,} pixels, got more; make it smaller"
    return RequestError(message, status=413, code="image_too_large")


def _bad_image(error: ImageError) -> RequestError:
    return RequestError(str(error), status=422, code="bad_image")
