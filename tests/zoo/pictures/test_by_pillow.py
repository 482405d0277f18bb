"""What is decoded is what the file states, or it is refused."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageFile

from picture_files import noise
from zoo.errors import ImageError
from zoo.pictures.by_pillow import check_decoded, decode_frame
from zoo.pictures.images import read_picture
from zoo.pictures.picture import Kind


@pytest.mark.parametrize(
    ("kind", "size"),
    [(Kind(3, 8), (6, 4)), (Kind(4, 16), (6, 4)), (Kind(3, 16), (6, 5)), (Kind(1, 16), (6, 4))],
)
def test_what_is_not_as_stated_is_refused(kind: Kind, size: tuple[int, int]) -> None:
    said = f"16-bit RGB.*{kind} of {size[0]} x {size[1]}"
    with pytest.raises(ImageError, match=said):
        check_decoded(Kind(3, 16), (6, 4), kind, size)
    check_decoded(Kind(3, 16), (6, 4), Kind(3, 16), (4, 6))  # turned upright


def opened(data: bytes) -> ImageFile.ImageFile:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("white", [b"65535", b"1023"])
@pytest.mark.parametrize("kind", [b"P6", b"P3"])
def test_pillow_is_not_asked_for_more_than_it_holds(kind: bytes, white: bytes) -> None:
    # Where open_deep passes such a file on, as what it does not know.
    data = kind + b" 2 1 " + white + b"\n" + bytes(12)
    with opened(data) as file, pytest.raises(ImageError, match="RGB;16"):
        decode_frame(file)


@pytest.mark.parametrize("compression", ["lzma", "zstd"])
@pytest.mark.parametrize(("channels", "dtype"), [(1, "uint8"), (3, "uint8"), (1, "uint16"), (1, "float32")])
def test_a_compression_that_pillow_alone_knows(channels: int, dtype: str, compression: str) -> None:
    pixels = noise(channels, dtype)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "TIFF", compression=compression)
    picture = read_picture(out.getvalue())
    assert picture.pixels.dtype == pixels.dtype
    assert np.array_equal(picture.pixels, pixels)


def test_five_bits_of_a_bmp_are_no_sixteen() -> None:
    header = b"BM" + (54 + 8).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    info = struct.pack("<IiiHHIIiiII", 40, 2, 1, 1, 16, 0, 8, 0, 0, 0, 0)
    picture = read_picture(header + info + (0x7C00).to_bytes(2, "little") + bytes(6))
    assert picture.pixels[0].tolist() == [[255, 0, 0], [0, 0, 0]]
