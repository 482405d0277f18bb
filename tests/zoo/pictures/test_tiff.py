import io
import struct

import numpy as np
import pytest
import tifffile

from picture_files import tiff as written
from zoo.pictures import tiff


def scan(count: int, **options: object) -> io.BytesIO:
    out = io.BytesIO()
    with tifffile.TiffWriter(out, **options) as writer:
        for page in range(count):
            writer.write(np.zeros((4 + page, 5), np.uint8), metadata=None)
    return out


@pytest.mark.parametrize("options", [{"byteorder": "<"}, {"byteorder": ">"}, {"bigtiff": True}])
def test_directories_by_page(options: dict[str, object]) -> None:
    stream = scan(3, **options)
    assert tiff.find_pages(stream) == {0: (5, 4), 1: (5, 5), 2: (5, 6)}
    assert [tiff.read_directory(stream, page)[257] for page in range(3)] == [4, 5, 6]
    with pytest.raises(EOFError, match="no page 4"):
        tiff.read_directory(stream, 3)


def test_a_tag_that_is_not_there_has_its_default() -> None:
    tags = tiff.read_directory(scan(1))
    assert tiff.tag_values(tags, 256, 1) == (5,)
    assert tiff.tag_values(tags, 338, 7) == (7,)
    assert tiff.tag_values(None, 256, 1) == (1,)


def test_directories_that_go_in_a_circle_end() -> None:
    data = bytearray(written(np.zeros((4, 5), np.uint8)))
    count = struct.unpack("<H", data[8:10])[0]
    data[10 + 12 * count : 14 + 12 * count] = struct.pack("<I", 8)
    assert [*tiff.find_pages(io.BytesIO(bytes(data)))] == [0]
