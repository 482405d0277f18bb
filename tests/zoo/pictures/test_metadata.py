"""What a file says beside its pixels is in the file that is written, whatever their formats."""

import io
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from picture_files import noise, png, tiff
from zoo.pictures.formats import BY_NAME, WRITABLE, Format
from zoo.pictures.images import read_picture
from zoo.pictures.metadata import Metadata, chunks_of, of_blocks
from zoo.pictures.picture import Picture

EXIF, GPS = 34665, 34853
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
IPTC = b"\x1c\x02\x50\x00\x06Author"


def exif(**inner: Any) -> Image.Exif:
    """A camera's, turned, with a thumbnail behind it."""
    tags = Image.Exif()
    tags[274], tags[315], tags[33432], tags[306] = 6, "Ann Author", "(c) Ann", "2024:05:01 10:00:00"
    tags[EXIF] = {
        36867: "2024:05:01 10:00:00",
        33434: 0.5,
        37500: b"maker\0note",
        40962: 8,
        40963: 6,
        **inner,
    }
    tags[GPS] = {1: "N", 2: (52.0, 31.0, 12.0)}
    return tags


def camera(kind: str = "JPEG", **inner: Any) -> bytes:
    """An upright picture 6 wide and 8 high, lying on its side."""
    out = io.BytesIO()
    options: dict[str, Any] = {"exif": exif(**inner), "dpi": (300, 300)}
    if kind in ("JPEG", "WEBP", "PNG"):
        options["xmp"] = XMP
    if kind == "PNG":
        chunks = [
            (b"eXIf", exif(**inner).tobytes()[6:]),
            (b"pHYs", b"\0\0\x2e\x23" * 2 + b"\1"),
            (b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + XMP),
        ]
        return png(np.zeros((6, 8, 3), np.uint8), chunks)
    if kind == "TIFF":
        options["exif"] = options["exif"].tobytes()
    Image.new("RGB", (8, 6)).save(out, kind, **options)
    return out.getvalue()


def parsed(data: bytes) -> tuple[Image.Image, Image.Exif]:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image, image.getexif()


@pytest.mark.parametrize("form", WRITABLE, ids=lambda form: form.name)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_is_kept_upright(kind: str, form: Format) -> None:
    image, tags = parsed(form.encode(read_picture(camera(kind))))
    assert image.size == (6, 8)
    assert tags.get(274, 1) == 1
    assert (tags[315], tags[33432], tags[306]) == ("Ann Author", "(c) Ann", "2024:05:01 10:00:00")
    inner = tags.get_ifd(EXIF)
    assert (inner[36867], float(inner[33434]), inner[37500]) == ("2024:05:01 10:00:00", 0.5, b"maker\0note")
    assert (inner[40962], inner[40963]) == (6, 8)  # of the upright picture
    assert tags.get_ifd(GPS)[2] == (52.0, 31.0, 12.0)
    if kind != "WEBP":  # Pillow wrote none
        assert np.allclose([tags[282]] if form.name == "WEBP" else image.info["dpi"], 300, atol=0.1)


@pytest.mark.parametrize("form", WRITABLE, ids=lambda form: form.name)
def test_xmp_is_kept_upright(form: Format) -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        image, _ = parsed(form.encode(read_picture(camera(kind))))
        assert image.info["xmp"] == XMP.replace(b'"6"', b'"1"')


def test_iptc_is_kept_where_the_format_has_it() -> None:
    picture = Picture(np.zeros((6, 8, 3), np.uint8), metadata=Metadata(iptc=IPTC))
    for name in ("JPEG", "TIFF"):
        assert read_picture(BY_NAME[name].encode(picture)).metadata.iptc == IPTC
    for name in ("PNG", "WEBP"):
        assert read_picture(BY_NAME[name].encode(picture)).metadata == Metadata()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_kind_of_tiff_and_png_holds_it(channels: int, dtype: str) -> None:
    shape = (70, 300) if channels == 1 else (70, 300, channels)  # several strips
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    pixels = values if dtype == "float32" else (values * np.iinfo(dtype).max).astype(dtype)
    metadata = replace(read_picture(camera()).metadata, iptc=IPTC)
    picture = Picture(pixels, metadata=metadata)
    data = BY_NAME["TIFF"].encode(picture)
    back = read_picture(data)
    assert np.array_equal(back.pixels, pixels)
    assert (back.metadata.xmp, back.metadata.iptc, back.metadata.dpi) == (metadata.xmp, IPTC, (300, 300))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert np.array_equal(file.asarray(), pixels)
        assert file.pages[0].tags["Artist"].value == "Ann Author"
        assert file.pages[0].tags["ExifTag"].value["DateTimeOriginal"] == "2024:05:01 10:00:00"
    if dtype != "float32":
        back = read_picture(BY_NAME["PNG"].encode(picture))
        assert np.array_equal(back.pixels, pixels)
        assert back.metadata == replace(metadata.sized(picture.size), iptc=b"", dpi=back.metadata.dpi)


def test_tags_of_how_a_file_is_stored_are_not_carried_over() -> None:
    private = (50706, 1, 4, (1, 4, 0, 0), True)  # DNGVersion
    data = tiff(np.zeros((6, 8, 3), np.uint16), photometric="rgb", description="a view", extratags=[private])
    tags = parsed(BY_NAME["JPEG"].encode(read_picture(data)))[1]
    assert tags[270] == "a view"
    assert not {256, 273, 277, 339, 50706} & {*tags}


def test_a_bigtiff_says_as_much() -> None:
    data = tiff(np.zeros((6, 8, 3), np.uint16), photometric="rgb", bigtiff=True, description="a view",
                resolution=(100, 100), resolutionunit="CENTIMETER")  # fmt: skip
    metadata = read_picture(data).metadata
    assert metadata.dpi == (254, 254)
    assert parsed(BY_NAME["PNG"].encode(read_picture(data)))[1][270] == "a view"


def test_a_thumbnail_is_dropped() -> None:
    thumbnail = b"\xff\xd8thumbnail\xff\xd9"
    first = b"MM\0*\0\0\0\x08\0\x01\x01\x3b\0\2\0\0\0\4Ann\0\0\0\0\x1a"
    second = b"\0\2\2\1\0\4\0\0\0\1\0\0\0\x38\2\2\0\4\0\0\0\1\0\0\0\x0d\0\0\0\0"
    data = png(np.zeros((6, 8, 3), np.uint8), [(b"eXIf", first + second + thumbnail)])
    picture = read_picture(data)
    assert b"Ann" in picture.metadata.exif
    for form in WRITABLE:
        assert b"thumbnail" not in form.encode(picture)


@pytest.mark.parametrize(
    "exif", [b"", b"Exif\0\0", b"MM\0*\0\0\0\x08\xff\xff", b"II*\0" + b"\xff" * 40, b"x" * 99]
)
def test_what_is_broken_is_left_out(exif: bytes) -> None:
    data = png(np.zeros((6, 8, 3), np.uint16), [(b"eXIf", exif)]) if exif else camera()
    picture = read_picture(data)
    for form in WRITABLE:
        form.encode(picture)


def test_exif_as_text_that_is_none_is_left_out() -> None:
    text = b"Raw profile type exif\0\nexif\n       4\nno hexadecimal\n"
    pixels = noise(3, "uint8")
    picture = read_picture(png(pixels, [(b"tEXt", text)]))
    assert np.array_equal(picture.pixels, pixels)
    assert picture.metadata.exif == b""


def test_a_tag_of_another_type_than_its_own_is_left_out() -> None:
    entries = [(282, 2, 2, b"n\0\0\0"), (283, 2, 2, b"n\0\0\0"), (315, 2, 4, b"Ann\0")]  # text for numbers
    table = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    tags = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + bytes(4)
    for data in (png(np.zeros((6, 8, 3), np.uint8), [(b"eXIf", tags)]), of_jpeg(b"Exif\0\0" + tags)):
        assert b"Ann" in read_picture(data).metadata.exif


def of_jpeg(exif: bytes) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 6)).save(out, "JPEG", exif=exif)
    return out.getvalue()


def test_what_a_jpeg_has_no_room_for_is_left_out() -> None:
    metadata = Metadata(xmp=b"x" * 70_000, iptc=bytes(70_000), dpi=(300.0, 300.0))
    back = read_picture(BY_NAME["JPEG"].encode(Picture(np.zeros((6, 8, 3), np.uint8), metadata=metadata)))
    assert back.metadata == Metadata(dpi=(300.0, 300.0))


def test_stripped_metadata_is_that_of_colours_alone() -> None:
    chunk = (b"sRGB", b"\0")
    picture = read_picture(png(np.zeros((6, 8, 3), np.uint8), [chunk, (b"eXIf", exif().tobytes()[6:])]))
    assert picture.metadata.exif
    assert picture.metadata.stripped() == Metadata(chunks=(chunk,))


@pytest.mark.parametrize("metadata", [Metadata(), of_blocks(exif().tobytes(), XMP, IPTC, (300, 300))])
@pytest.mark.parametrize("form", WRITABLE, ids=lambda form: form.name)
def test_software_is_named_beside_the_rest(metadata: Metadata, form: Format) -> None:
    picture = Picture(np.zeros((6, 8, 3), np.uint8), metadata=metadata.naming("zoo 1 noise=15"))
    read = read_picture(form.encode(picture))
    _, tags = parsed(form.encode(picture))
    assert tags[305] == "zoo 1 noise=15"
    assert tags.get(315) == ("Ann Author" if metadata.exif else None)
    assert read.metadata.xmp == metadata.xmp


@pytest.mark.parametrize("quote", ['"', "'"])
def test_the_orientation_in_xmp_is_upright(quote: str) -> None:
    said = f"<rdf:Description tiff:Orientation={quote}6{quote}/>".encode()
    assert of_blocks(xmp=said).xmp == said.replace(b"6", b"1")


def test_what_exif_says_of_cmyk_is_not_said_of_rgb() -> None:
    exif = Image.Exif()
    exif[0x013B] = "A. Name"
    exif[0x8769] = {40961: 0xFFFF, 40965: {1: "R03"}, 0x829A: 0.5}
    out = io.BytesIO()
    Image.new("CMYK", (4, 3)).save(out, "JPEG", exif=exif)
    picture = read_picture(out.getvalue())
    assert picture.profile is None
    assert not picture.metadata.is_adobe_rgb
    kept = Image.Exif()
    kept.load(picture.metadata.exif)
    assert kept[0x013B] == "A. Name"
    assert 40961 not in kept.get_ifd(0x8769)
    assert kept.get_ifd(0x8769)[0x829A] == 0.5


def test_what_a_jpeg_has_no_room_for_is_said(caplog: pytest.LogCaptureFixture) -> None:
    picture = Picture(
        np.zeros((4, 3, 3), np.uint8), metadata=Metadata(xmp=bytes(70_000), iptc=b"\x1c\x02\x05\0\1a")
    )
    data = BY_NAME["JPEG"].encode(picture)
    assert "XMP of 70000 bytes is left out" in caplog.text
    assert "IPTC" not in caplog.text
    assert read_picture(data).metadata.iptc == picture.metadata.iptc


def test_chunks_are_those_of_a_png() -> None:
    chunk = (b"pHYs", struct.pack(">IIB", 3937, 3937, 1))
    data = png(np.zeros((4, 5), np.uint8), [chunk])
    assert chunks_of(io.BytesIO(data)) == dict([chunk])
    assert chunks_of(io.BytesIO(b"GIF89a.." + data[8:])) == {}
