"""More than 8 bits a channel, in files whose right values are known."""

import struct
import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
import pyvips

from picture_files import noise, png, subsampled_tiff, tiff, twelve_bit_tiff
from zoo.errors import ImageError, ImageTooLargeError
from zoo.pictures.images import read_header, read_image, read_picture, rgb_array
from zoo.pictures.picture import FLOAT, Kind, Picture

CMYK = {"photometric": "separated", "planarconfig": "contig"}
LAB_PLANES = {"photometric": "cielab", "planarconfig": "separate"}
PLANES = {"photometric": "minisblack", "planarconfig": "separate", "extrasamples": ["unassalpha"]}


def check(data: bytes, expected: np.ndarray) -> Picture:
    """The picture in a file, which is what its header says, and of these values."""
    header = read_header(data)
    picture = read_picture(data)
    assert (picture.kind, picture.size) == (header.kind, header.size)
    assert picture.pixels.dtype == expected.dtype
    assert np.array_equal(picture.pixels, expected)
    return picture


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png(channels: int) -> None:
    check(png(noise(channels)), noise(channels))


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize(
    ("channels", "planar"), [*[(n, "contig") for n in (1, 2, 3, 4)], (3, "separate"), (4, "separate")]
)
def test_tiff(
    channels: int, dtype: str, planar: str, compression: str | None, bigtiff: bool, byteorder: str
) -> None:
    expected = noise(channels, dtype)
    written = np.moveaxis(expected, -1, 0) if channels > 1 and planar == "separate" else expected
    data = tiff(
        written,
        byteorder=byteorder,
        bigtiff=bigtiff,
        compression=compression,
        photometric="minisblack" if channels < 3 else "rgb",
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        planarconfig=planar if channels > 1 else None,
    )
    check(data, expected)


def test_half_floats() -> None:
    for channels, photometric in ((1, "minisblack"), (3, "rgb")):
        half = noise(channels, "float16")
        check(tiff(half, photometric=photometric), half.astype(np.float32))


def test_black_may_be_white() -> None:
    check(tiff(noise(1), photometric="miniswhite"), 65535 - noise(1))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_channels_that_are_no_picture_are_left_out(dtype: str) -> None:
    four, five = noise(4, dtype), noise(5, dtype)
    check(tiff(four, photometric="rgb", extrasamples=["unspecified"]), four[..., :3])
    check(tiff(five, photometric="rgb", planarconfig="contig"), five[..., :3])
    check(
        tiff(five, photometric="rgb", planarconfig="contig", extrasamples=["unassalpha", "unspecified"]),
        five[..., :4],
    )


def test_alpha_that_was_multiplied_is_divided() -> None:
    half = np.array([[[30000, 20000, 10000, 32768]]], np.uint16)
    picture = read_picture(tiff(half, photometric="rgb", extrasamples=["assocalpha"]))
    assert np.abs(picture.pixels[0, 0].astype(int) - (59999, 39999, 19999, 32768)).max() <= 1


def test_eight_bits_that_pillow_does_not_know() -> None:
    expected = noise(3).astype(np.uint8)
    check(tiff(expected, photometric="rgb", bigtiff=True, byteorder=">"), expected)


def test_fewer_samples_of_colour_than_of_light() -> None:
    light = np.array([[0, 50, 76, 76], [200, 255, 90, 10]])
    colour = np.full((2, 2, 2), 128)
    colour[0, 1] = 85, 255  # red
    picture = read_picture(subsampled_tiff(light, colour) + bytes(99))
    expected = np.repeat(light[..., None], 3, axis=2)
    expected[0, 2:] = 255, 0, 0
    assert np.abs(picture.pixels.astype(int) - expected).max() <= 2


def test_tiles_in_the_place_of_strips() -> None:
    grey = np.arange(20 * 40, dtype=np.uint8).reshape(20, 40)
    data = tiff(grey, tile=(16, 16))
    for old, new in ((324, 273), (325, 279)):
        assert struct.pack("<H", old) in data
        data = data.replace(struct.pack("<H", old), struct.pack("<H", new), 1)
    check(data, grey)


def test_a_compression_that_libvips_alone_knows() -> None:
    pixels = noise(3, "uint8")
    image = pyvips.Image.new_from_array(pixels).copy(interpretation="srgb")
    check(bytes(image.tiffsave_buffer(compression="webp", lossless=True)), pixels)


def test_twelve_bits_have_their_own_white() -> None:
    grey = np.linspace(0, 4095, 48).astype(np.uint16).reshape(6, 8)
    check(twelve_bit_tiff(grey), np.rint(grey * (65535 / 4095)).astype(np.uint16))


def test_cmyk_without_a_profile() -> None:
    inks = np.array([[[0, 0, 0, 0], [65535, 0, 0, 0], [0, 0, 0, 65535], [0, 32768, 0, 32768]]], np.uint16)
    picture = read_picture(tiff(inks, **CMYK))
    assert picture.kind == Kind(3, 16)
    expected = [[65535, 65535, 65535], [0, 65535, 65535], [0, 0, 0], [32767, 16383, 32767]]
    assert np.abs(picture.pixels[0].astype(int) - expected).max() <= 1


def test_cmyk_by_its_profile_is_what_pillow_makes_of_8_bits() -> None:
    profile = pyvips.Operation.call("profile_load", "cmyk")
    inks = np.random.default_rng(0).integers(0, 256, (6, 8, 4), dtype=np.uint8)
    expected = read_picture(tiff(inks, iccprofile=profile, **CMYK))
    picture = read_picture(tiff(inks.astype(np.uint16) * 257, iccprofile=profile, **CMYK))
    assert (expected.kind, picture.kind) == (Kind(3, 8), Kind(3, 16))
    assert np.abs(picture.pixels / 257 - expected.pixels).max() <= 1.5
    assert picture.profile is None
    assert (
        np.abs(read_picture(tiff(inks.astype(np.uint16) * 257, **CMYK)).pixels / 257 - expected.pixels).max()
        > 20
    )


def test_lab_is_rgb() -> None:
    lab = np.array([[[0, 0, 0], [65535, 0, 0]]], np.uint16)
    picture = read_picture(tiff(lab, photometric="cielab"))
    assert picture.kind == Kind(3, 16)
    assert np.abs(picture.pixels[0].astype(int) - [[0] * 3, [65535] * 3]).max() <= 65


@pytest.mark.parametrize("bits", [10, 12])
def test_avif_has_its_own_white(bits: int) -> None:
    white = np.full((64, 64, 3), 65535, np.uint16)
    white[:, :32] = 0
    image = pyvips.Image.new_from_array(white).copy(interpretation="rgb16")
    check(image.heifsave_buffer(compression="av1", bitdepth=bits, lossless=True), white)


def test_an_avif_of_grey_is_read_where_its_range_is_full() -> None:
    ramp = np.tile(np.arange(0, 1024, 16, dtype=np.uint16), (64, 1))
    options = [cv2.IMWRITE_AVIF_DEPTH, 10, cv2.IMWRITE_AVIF_QUALITY, 100]
    data = cv2.imencode(".avif", ramp, options)[1].tobytes()
    read = read_picture(data).pixels
    assert np.abs(read.reshape(64, 64, -1)[..., 0] - ramp * (65535 / 1023)).max() <= 65
    at = data.index(b"colrnclx") + 14
    for other in (data[:at] + b"\0" + data[at + 1 :], data.replace(b"colrnclx", b"freenclx")):
        with pytest.raises(ImageError, match="AVIF of 10 bits"):
            read_picture(other)


@pytest.mark.parametrize("white", [65535, 1023])
def test_ppm(white: int) -> None:
    pixels = (noise(3) & white).astype(">u2")
    head = f"P6 # a comment\n8 6\n{white}\n".encode()
    check(head + pixels.tobytes(), np.rint(pixels * np.float32(65535 / white)).astype(np.uint16))
    for data, said in ((head + bytes(90), "cut short"), (head.replace(b"P6", b"P3"), "in letters")):
        with pytest.raises(ImageError, match=f"{white}.*{said}"):
            read_picture(data)


def test_the_pixels_of_a_ppm_are_not_read_for_its_header(tmp_path: Path) -> None:
    path = tmp_path / "large.ppm"
    side = 9_000
    with path.open("wb") as file:
        file.write(f"P6 {side} {side} 65535\n".encode())
        file.truncate(file.tell() + side * side * 6)  # holes
    tracemalloc.start()
    assert read_header(path).size == (side, side)
    with pytest.raises(ImageTooLargeError, match="9000 x 9000"):
        read_picture(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < side * side


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_transparent_grey(bits: int) -> None:
    white = 2**bits - 1
    steps = np.array([[0, white // 3, white]])
    data = png(
        steps.astype(np.uint16 if bits == 16 else np.uint8),
        [(b"tRNS", struct.pack(">H", white))],
        bits if bits < 8 else None,
    )
    whole = 65535 if bits == 16 else 255
    expected = np.stack([steps * (whole // white), np.where(steps == white, 0, whole)], axis=2)
    check(data, expected.astype(np.uint16 if bits == 16 else np.uint8))


def test_a_transparent_colour() -> None:
    colours = noise(3)
    data = png(colours, [(b"tRNS", colours[2, 3].astype(">u2").tobytes())])
    expected = np.concatenate([colours, np.full((6, 8, 1), 65535, np.uint16)], axis=2)
    expected[2, 3, 3] = 0
    check(data, expected)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (tiff(noise(1, "int16")), "a TIFF of 1 x 16-bit signed integer"),
        (tiff(noise(1, "int8")), "a TIFF of 1 x 8-bit signed integer"),
        (tiff(noise(3, "uint32"), photometric="rgb"), "a TIFF of 3 x 32-bit integer"),
        (tiff(noise(1, "float64")), "a TIFF of 1 x 64-bit float"),
        (tiff(noise(1, "complex64")), "a TIFF of 1 x 64-bit complex"),
        (tiff(np.moveaxis(noise(2), -1, 0), **PLANES), "a planar TIFF of 2 x 16-bit integer"),
        (tiff(np.moveaxis(noise(2, "uint8"), -1, 0), **PLANES), "a planar TIFF of 2 x 8-bit integer"),
        (
            tiff(np.moveaxis(noise(3), -1, 0), **LAB_PLANES),
            "a planar TIFF of 3 x 16-bit integer in Lab",
        ),
        (tiff(noise(1), photometric=32803), "a TIFF of 1 x 16-bit integer in a sensor's pattern"),
        (tiff(noise(3), photometric="ycbcr"), "a TIFF of 3 x 16-bit integer in YCbCr"),
        (tiff(noise(3, "float32"), photometric="cielab"), "a TIFF of 3 x 32-bit float in Lab"),
        (
            tiff(noise(1, "float32"), photometric="miniswhite"),
            "a TIFF of 1 x 32-bit float in negative",
        ),
        (tiff(noise(4, "float32"), **CMYK), "a TIFF of 4 x 32-bit float in CMYK"),
        (tiff(noise(9), photometric="rgb", planarconfig="contig"), "a TIFF of 9 x 16-bit integer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_supported_is_named(data: bytes, said: str) -> None:
    for read in (read_picture, read_header):
        with pytest.raises(ImageError, match=said):
            read(data)


def test_integers_of_32_bits_are_read_where_they_fit_into_16() -> None:
    check(tiff(noise(1, "uint32")), noise(1))
    with pytest.raises(ImageError, match="70000"):
        read_picture(tiff(np.array([[0, 70000]], np.uint32)))


@pytest.mark.parametrize("data", [png(noise(3)), tiff(noise(3), photometric="rgb", compression="deflate")])
def test_what_is_cut_short_or_too_large_is_refused(data: bytes) -> None:
    for end in (len(data) // 2, len(data) - 30):
        with pytest.raises(ImageError, match="cannot read the image"):
            read_picture(data[:end])
    with pytest.raises(ImageTooLargeError, match=r"47 .*8 x 6 = 48"):
        read_picture(data, max_pixels=47)


def test_an_error_is_about_its_own_file(tmp_path: Path) -> None:
    avif = bytes(pyvips.Image.black(64, 64, bands=3).heifsave_buffer(compression="av1"))
    (tmp_path / "former.avif").write_bytes(avif)
    read_picture(tmp_path / "former.avif")  # libvips looks behind its end, and notes that
    data, photometric = tiff(noise(1, "float32")), struct.pack("<HH", 262, 3)
    assert photometric in data
    with pytest.raises(ImageError, match="262") as caught:
        read_picture(data.replace(photometric, struct.pack("<HH", 261, 3)))
    assert "former" not in str(caught.value)


def test_a_picture_is_turned_upright() -> None:
    turned = np.rot90(noise(3), -1)  # clockwise, as orientation 6 says
    picture = read_picture(tiff(noise(3), photometric="rgb", extratags=[(274, 3, 1, 6, True)]))
    assert np.array_equal(picture.pixels, turned)


def test_a_path_is_read_again_and_has_no_options(tmp_path: Path) -> None:
    path = tmp_path / "page[n=1].tif"
    for seed in (3, 4):
        path.write_bytes(tiff(noise(seed), photometric="rgb"))
        assert np.array_equal(read_picture(path).pixels, noise(seed)[..., : 3 if seed == 3 else 4])


def test_an_image_of_it_has_8_bits_and_that_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    image = read_image(png(noise(3)))
    assert np.array_equal(np.asarray(image), np.rint(noise(3) / 257).astype(np.uint8))
    assert "16-bit RGB is rounded to 8 bits" in caplog.text


def test_floats_are_about_0_to_1() -> None:
    picture = read_picture(tiff(noise(3, "float32") * 255, photometric="rgb"))
    assert picture.kind == Kind(3, FLOAT)
    with pytest.raises(ImageError, match="divide"):
        rgb_array(picture)


@pytest.mark.slow
def test_a_fork_of_a_process_that_read_deep_pictures_is_refused(tmp_path: Path) -> None:
    """It would wait for the threads of libvips for ever."""
    (tmp_path / "deep.png").write_bytes(png(noise(3)))
    program = """
        import os
        from zoo import ImageError, read_picture
        read_picture("deep.png")
        child = os.fork()
        if not child:
            try:
                read_picture("deep.png")
            except ImageError as error:
                os._exit(0 if "by spawn" in str(error) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=tmp_path, check=True)
