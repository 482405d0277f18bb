"""One picture through one model, bytes in and bytes out: the work of a worker thread."""

from collections.abc import Mapping

from pipelines.serve.faults import RequestError
from zoo import ImageError, ImageTooLargeError, Predictor, read_picture
from zoo.pictures.formats import BY_NAME
from zoo.pictures.images import read_header


def restore(model: Predictor, image: bytes, values: Mapping[str, float], max_pixels: int) -> bytes:
    """The restored picture as PNG, with its colour profile; floating point becomes 16 bits.

    Raises:
        RequestError: 413 too many pixels, 422 not a picture we can read.
    """
    try:
        if (header := read_header(image)).pages > 1:
            raise ImageError(f"{header.count}, and the endpoint restores one picture; send them one by one")
        restored = model(read_picture(image, max_pixels=max_pixels), values)
    except ImageTooLargeError as error:
        message = f"expected a picture of at most {max_pixels:,} pixels, got more; make it smaller"
        raise RequestError(message, status=413, code="image_too_large") from error
    except ImageError as error:
        raise RequestError(str(error), status=422, code="bad_image") from error
    # Higher levels save a few percent of a photograph and take several times as long.
    return BY_NAME["PNG"].encode(restored, level=1)
