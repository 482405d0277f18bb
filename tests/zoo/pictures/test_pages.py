"""Every page and frame is read, and written where the format has several."""

import io
import struct
from itertools import accumulate
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from picture_files import png, tiff
from zoo.errors import ImageError, ImageTooLargeError
from zoo.pictures.formats import BY_NAME
from zoo.pictures.images import read_header, read_image, read_pages, read_picture
from zoo.pictures.metadata import Metadata
from zoo.pictures.picture import Header, Kind, Pages, Picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SHADES = (10, 200, 90)


def animation(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    frames = [Image.new("L", (5, 4), shade).convert(mode) for shade in SHADES]
    out = io.BytesIO()
    if kind == "WEBP":
        options["lossless"] = True
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], **options)
    return out.getvalue()


def shades(pages: Pages) -> list[int]:
    """The first value of each."""
    return [int(page.pixels.reshape(-1)[0]) for page in pages.pictures]


def test_a_frame_of_a_png_that_is_taken_away_leaves_what_was_before() -> None:
    frames = [Image.new("RGBA", (5, 4), colour) for colour in ("green", "red", "green")]
    frames[2].putpixel((1, 2), (0, 0, 255, 255))
    out = io.BytesIO()
    options = {"append_images": frames[1:], "disposal": [0, 2, 0], "blend": 1}
    frames[0].save(out, "PNG", save_all=True, **options)
    for page, frame in zip(read_pages(out.getvalue()).pictures, frames, strict=True):
        assert np.array_equal(page.pixels, np.asarray(frame))


@pytest.mark.parametrize("default", [False, True])
def test_a_frame_of_a_png_that_is_half_transparent_lies_over_those_before(default: bool) -> None:
    colours = ((0, 255, 0, 255), (255, 0, 0, 128), (0, 0, 255, 64))
    frames = [Image.new("RGBA", (5, 4), colour) for colour in colours]
    out = io.BytesIO()
    options = {"append_images": frames[1:], "blend": 1, "default_image": default}
    frames[0].save(out, "PNG", save_all=True, **options)
    expected = list(accumulate(frames[1:] if default else frames, Image.alpha_composite))
    for number, (page, frame) in enumerate(zip(read_pages(out.getvalue()).pictures, expected, strict=True)):
        assert np.array_equal(page.pixels, np.asarray(frame))
        assert np.array_equal(read_picture(out.getvalue(), page=number).pixels, page.pixels)


def scan(*pages: np.ndarray, **options: Any) -> bytes:
    out = io.BytesIO()
    with tifffile.TiffWriter(out, **options) as writer:
        for number, page in enumerate(pages):
            photometric = "rgb" if page.ndim == 3 else "minisblack"
            writer.write(page, photometric=photometric, metadata=None, description=f"page {number}")
    return out.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_frames_are_read_with_their_times(kind: str) -> None:
    data = animation(kind, duration=[100, 200, 300], loop=2)
    pages = read_pages(data)
    assert np.abs(np.array(shades(pages)) - SHADES).max() <= (3 if kind == "AVIF" else 0)
    if kind != "AVIF":
        assert (pages.durations_ms, pages.loops) == ((100, 200, 300), 2)
    header = read_header(data)
    assert (header.pages, header.moves, header.size, header.count) == (3, True, (5, 4), "3 frames")


@pytest.mark.parametrize("name", ["WEBP", "PNG"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_animations_are_written(name: str, mode: str) -> None:
    pages = read_pages(animation("PNG", mode, duration=[100, 200, 300], loop=0))
    back = read_pages(BY_NAME[name].encode_pages(pages))
    assert shades(back) == list(SHADES)
    assert (back.durations_ms, back.loops) == (pages.durations_ms, 0)
    assert name == "WEBP" or back.pictures[0].kind.has_alpha == (mode[-1] == "A")


def test_frames_that_clear_what_was_there_stay_clear() -> None:
    frames = [np.zeros((4, 6, 4), np.uint8) for _ in range(3)]
    for number, frame in enumerate(frames):
        frame[:, 2 * number : 2 * number + 2] = (200, 100, 50, 255)
    pages = Pages(tuple(map(Picture, frames)), (50, 50, 50))
    for name in ("WEBP", "PNG"):
        back = read_pages(BY_NAME[name].encode_pages(pages))
        for picture, frame in zip(back.pictures, frames, strict=True):
            assert np.array_equal(picture.pixels[..., 3], frame[..., 3])
            assert np.array_equal(picture.pixels[frame[..., 3] > 0], frame[frame[..., 3] > 0])


def test_frames_of_several_kinds_become_one() -> None:
    grey, colour = np.full((4, 5), 7, np.uint8), np.full((4, 5, 4), 9, np.uint8)
    pages = Pages((Picture(grey), Picture(colour)), (50, 50))
    back = read_pages(BY_NAME["PNG"].encode_pages(pages))
    assert [page.pixels[0, 0].tolist() for page in back.pictures] == [[7, 7, 7, 255], [9, 9, 9, 9]]


@pytest.mark.parametrize(
    ("sides", "durations", "said"),
    [
        ((), (), "got none"),
        ((8, 8), (50,), "2 durations.*got 1"),
        ((8,), (50, 50), "1 durations.*got 2"),
        ((8, 6), (50, 50), "6 x 6, 8 x 8"),
    ],
)
def test_frames_that_no_file_holds(sides: tuple[int, ...], durations: tuple[int, ...], said: str) -> None:
    pictures = tuple(Picture(np.zeros((side, side), np.uint8)) for side in sides)
    with pytest.raises(ImageError, match=said):
        Pages(pictures, durations)


@pytest.mark.parametrize(("name", "time"), [("PNG", 70_001), ("PNG", -50), ("WEBP", -50)])
def test_times_that_a_format_does_not_hold(name: str, time: int) -> None:
    frames = tuple(Picture(np.full((4, 5), shade, np.uint8)) for shade in SHADES[:2])
    with pytest.raises(ImageError, match=f"{name} cannot hold 2 frames"):
        BY_NAME[name].encode_pages(Pages(frames, (time, time)))


@pytest.mark.parametrize("bigtiff", [False, True])
def test_pages_have_kinds_sizes_and_metadata_of_their_own(bigtiff: bool) -> None:
    generator = np.random.default_rng(0)
    pixels = [
        generator.integers(0, 255, (60, 70, 3), dtype=np.uint8),
        generator.integers(0, 65535, (30, 20, 3), dtype=np.uint16),
        generator.random((10, 15), dtype=np.float32),
        generator.integers(0, 255, (11, 13), dtype=np.uint8),
    ]
    out = io.BytesIO()
    with tifffile.TiffWriter(out, bigtiff=bigtiff) as writer:
        for number, page in enumerate(pixels):
            writer.write(page, photometric="rgb" if page.ndim == 3 else "minisblack", metadata=None,
                         description=f"page {number}", resolution=(100 * number + 100,) * 2,
                         resolutionunit="INCH")  # fmt: skip
    pages = read_pages(out.getvalue())
    assert pages.durations_ms == ()
    data = BY_NAME["TIFF"].encode_pages(pages)
    for back in (pages, read_pages(data)):
        for number, (page, expected) in enumerate(zip(back.pictures, pixels, strict=True)):
            assert np.array_equal(page.pixels, expected)
            assert page.metadata.dpi == (100 * number + 100,) * 2
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        for number, (written, expected) in enumerate(zip(file.pages, pixels, strict=True)):
            assert np.array_equal(written.asarray(), expected)
            assert written.description == f"page {number}"
    with Image.open(io.BytesIO(out.getvalue() if not bigtiff else data)) as image:
        assert image.n_frames == 4


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_page_is_parsed_a_few_times_wherever_it_stands(
    dtype: type, compression: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [np.full((4, 5), number, dtype) for number in range(40)]
    with tifffile.TiffWriter(tmp_path / "scan.tif") as writer:
        for page in pages:
            writer.write(page, photometric="minisblack", metadata=None, compression=compression)
    loaded, load = list[ImageFileDirectory_v2](), ImageFileDirectory_v2.load

    def counted(tags: ImageFileDirectory_v2, stream: IO[bytes]) -> None:
        loaded.append(tags)
        load(tags, stream)

    monkeypatch.setattr(ImageFileDirectory_v2, "load", counted)
    read = read_pages(tmp_path / "scan.tif").pictures
    assert all(np.array_equal(picture.pixels, page) for picture, page in zip(read, pages, strict=True))
    assert len(loaded) < 15 * len(pages)


def test_thumbnails_and_masks_of_a_tiff_are_no_pages() -> None:
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        for size, subfile in ((8, 1), (16, 0), (4, 1), (12, 2)):
            writer.write(np.full((size, size), size, np.uint8), subfiletype=subfile, metadata=None)
        writer.write(np.ones((16, 16), np.bool_), subfiletype=4, metadata=None)
    pages = read_pages(out.getvalue())
    assert [page.size for page in pages.pictures] == [(16, 16), (12, 12)]
    assert read_header(out.getvalue()) == Header(Kind(1, 8), (16, 16), 2, later_px=144)
    assert read_picture(out.getvalue(), page=0).size == (16, 16)


def test_one_page_alone(caplog: pytest.LogCaptureFixture) -> None:
    data = scan(np.full((4, 5, 3), 7, np.uint16), np.full((2, 3), 9, np.uint8))
    assert read_picture(data, page=1).pixels.tolist() == [[9] * 3] * 2
    assert read_header(data, page=1) == Header(Kind(1, 8), (3, 2))
    assert not caplog.messages
    assert read_picture(data).kind == Kind(3, 16)
    assert caplog.messages == ["the image: the first of 2 pages; read_pages reads all"]
    read_image(animation("GIF"))
    assert "the first of 3 frames" in caplog.messages[-1]
    for read in (read_picture, read_header):
        with pytest.raises(ImageError, match="1 to 2, got 3"):
            read(data, page=2)


def test_one_frame_alone() -> None:
    assert [int(read_picture(animation("GIF"), page=page).pixels.flat[0]) for page in (0, 1, 2)] == [*SHADES]


@pytest.mark.parametrize(
    ("name", "header", "said"),
    [
        ("JPEG", Header(Kind(3, 8), (5, 4), 3), r"3 pages.*JPEG.*\.tif$"),
        ("PNG", Header(Kind(3, 8), (5, 4), 2), r"2 pages.*PNG.*\.tif$"),
        ("JPEG", Header(Kind(3, 8), (5, 4), 3, True), r"3 frames.*\.png or \.tif or \.webp"),
    ],
)
def test_what_holds_one_refuses_several(name: str, header: Header, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        BY_NAME[name].fit_pages(header)
    times = (1.0,) * header.pages if header.moves else ()
    pages = Pages((Picture(np.zeros((4, 5, 3), np.uint8)),) * header.pages, times)
    with pytest.raises(ImageError, match=said):
        BY_NAME[name].encode_pages(pages)


def test_what_is_lost_of_several_is_said() -> None:
    moving = Header(Kind(3, 8), (5, 4), 3, True)
    assert BY_NAME["PNG"].fit_pages(moving) is None
    said = "3 frames become pages: TIFF has no animations; PNG and WEBP have"
    assert BY_NAME["TIFF"].fit_pages(moving) == said
    deep = Header(Kind(3, 16), (5, 4), 3, True)
    assert BY_NAME["PNG"].fit_pages(deep) == "16-bit RGB is rounded to 8 bits: frames of PNG hold no more"
    frame = Picture(np.full((4, 5, 3), 25700, np.uint16))
    dark = Picture(np.full((4, 5, 3), 257, np.uint16))
    back = read_pages(BY_NAME["PNG"].encode_pages(Pages((frame, dark), (50, 50))))
    assert [int(page.pixels.flat[0]) for page in back.pictures] == [100, 1]
    assert [int(page.pixels.flat[0]) for page in read_pages(
        BY_NAME["TIFF"].encode_pages(Pages((frame, dark), (50, 50)))).pictures] == [25700, 257]  # fmt: skip


def test_the_limit_is_of_all_together() -> None:
    for data in (
        animation("GIF"),
        scan(*[np.zeros((4, 5), np.uint8)] * 3),
        scan(*[np.zeros((4, 5), np.uint16)] * 3),
    ):
        assert len(read_pages(data, max_pixels=60).pictures) == 3
        with pytest.raises(ImageTooLargeError, match=r"59 .*60"):
            read_pages(data, max_pixels=59)
        assert read_header(data).pixels == 60


def test_pages_of_several_sizes_are_added_up() -> None:
    big = {"bigtiff": True, "byteorder": ">"}
    for dtype, options in ((np.uint8, {}), (np.uint16, {}), (np.uint16, big)):
        data = scan(*(np.zeros((side, side), dtype) for side in (10, 2, 20)), **options)
        assert read_header(data).pixels == 504
        assert read_header(data, page=1).pixels == 4
        assert len(read_pages(data, max_pixels=504).pictures) == 3
        with pytest.raises(ImageTooLargeError, match=r"100 .*504"):
            read_pages(data, max_pixels=100)


def test_metadata_of_an_animation_is_kept() -> None:
    exif = Image.Exif()
    exif[315] = "Ann Author"
    for kind in ("WEBP", "PNG"):
        pages = read_pages(animation(kind, exif=exif, icc_profile=SRGB))
        for name in ("WEBP", "PNG"):
            back = read_pages(BY_NAME[name].encode_pages(pages))
            assert back.pictures[0].profile == SRGB
            assert b"Ann Author" in back.pictures[0].metadata.exif
            assert back.pictures[0].metadata != Metadata()


def test_a_default_picture_is_no_frame() -> None:
    out = io.BytesIO()
    frames = [Image.new("L", (5, 4), shade) for shade in SHADES]
    Image.new("L", (5, 4), 255).save(out, "PNG", save_all=True, append_images=frames, default_image=True)
    assert shades(read_pages(out.getvalue())) == list(SHADES)


def ten_bit_avif(pictures: int) -> bytes:
    """Pictures of one file, which is no animation."""
    tall = pyvips.Image.new_from_array(np.zeros((64 * pictures, 64, 3), np.uint16))
    image = tall.copy(interpretation="rgb16")
    image.set_type(pyvips.GValue.gint_type, "page-height", 64)
    return image.heifsave_buffer(compression="av1", bitdepth=10)


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (png(np.zeros((4, 5), np.uint16)), 1),
        (b"P6 1 1 65535\n" + bytes(6), 1),
        (ten_bit_avif(1), 1),
        (ten_bit_avif(2), 2),
        (tiff(np.zeros((4, 5), np.uint16), bigtiff=True, byteorder=">"), 1),
    ],
)
def test_deep_pictures_do_not_move(data: bytes, count: int) -> None:
    header, pages = read_header(data), read_pages(data)
    assert (header.pages, header.moves) == (count, False)
    assert (len(pages.pictures), pages.durations_ms) == (count, ())


@pytest.mark.parametrize("text_bytes", [0, 2048])
def test_an_animated_png_of_16_bits_is_refused(text_bytes: int) -> None:
    chunks = [(b"tEXt", b"Comment\0" + b"a" * text_bytes), (b"acTL", struct.pack(">II", 2, 0))]
    with pytest.raises(ImageError, match="animated PNG of 16 bits"):
        read_header(png(np.zeros((4, 5), np.uint16), chunks))


@pytest.mark.parametrize(("flags", "bits"), [(0x4C, 10), (0x6C, 12)])
def test_an_animated_avif_of_more_than_8_bits_is_refused(flags: int, bits: int) -> None:
    """Nothing here writes one, so it is one of 8 bits that says otherwise."""
    data = animation("AVIF")
    assert b"av1C\x81\x00\x0c" in data
    deep = data.replace(b"av1C\x81\x00\x0c", b"av1C\x81\x00" + bytes([flags]))
    for read in (read_header, read_picture, read_pages):
        with pytest.raises(ImageError, match=f"animated AVIF of {bits} bits"):
            read(deep)


def test_an_avif_of_10_bits_that_libvips_does_not_read_is_not_rounded() -> None:
    data = ten_bit_avif(1)
    with pytest.raises(ImageError, match="an AVIF: "):
        read_picture(data[: data.index(b"mdat")])


def test_a_png_that_names_an_animation_in_a_text_is_still() -> None:
    pixels = np.full((4, 5), 25701, np.uint16)
    data = png(pixels, [(b"tEXt", b"Comment\0the chunk acTL")])
    assert np.array_equal(read_picture(data).pixels, pixels)


def test_previews_of_a_jpeg_are_no_pages() -> None:
    out = io.BytesIO()
    first, second = Image.new("RGB", (8, 6), "red"), Image.new("RGB", (4, 3))
    first.save(out, "MPO", save_all=True, append_images=[second])
    assert read_header(out.getvalue()) == Header(Kind(3, 8), (8, 6))
    assert len(read_pages(out.getvalue()).pictures) == 1
