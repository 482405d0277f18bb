"""Decoders on files whose verdict is known."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.decoders.__main__ import main
from benchmarks.decoders.compare import difference, judge
from benchmarks.decoders.decode import Read, by_opencv, by_pillow, by_pyvips, by_zoo
from benchmarks.decoders.header import Declared, read_declared
from benchmarks.decoders.worker import Outcome, Worker
from picture_files import noise, png, tiff

PNG_16 = Declared("PNG", 16)


def read(pixels: np.ndarray, by: str = "") -> Outcome:
    return Outcome("read", first=Read(pixels, by=by))


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.png", png(noise(3)), PNG_16),
        ("a.tif", tiff(noise(3), photometric="rgb"), Declared("TIFF", 16)),
        ("a.tif", tiff(noise(1, "float32"), bigtiff=True), Declared("TIFF", 32)),
        ("a.pgm", b"P5 # a comment 7\n2 1 1023\n" + bytes(4), Declared("PNM", 10, 1023)),
        ("a.tif", b"II*\0\xff\xff\xff\xff", Declared("TIFF")),
        ("a.tga", b"what", Declared("TGA")),
    ],
)
def test_files_declare_their_bits(name: str, data: bytes, expected: Declared, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    assert read_declared(tmp_path / name) == expected


def test_every_decoder_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(noise(4)))
    for decode in (by_zoo, by_pyvips, by_opencv):
        assert np.array_equal(decode(path, 0).pixels, noise(4))
    assert by_pillow(path, 0).bits == 8


def test_verdicts() -> None:
    pixels = noise(3)
    eight = (pixels >> 8).astype(np.uint8)
    refused = Outcome("refused", "ImageError: damaged")
    for outcomes, expected in (
        ({"zoo": read(pixels, "pyvips"), "pyvips": read(pixels), "OpenCV": read(pixels)}, "right"),
        (
            {"zoo": read(pixels, "pyvips"), "pyvips": read(pixels), "Pillow": read(eight)},
            "right, less checked",
        ),
        ({"zoo": read(pixels, "pyvips"), "pyvips": read(pixels)}, "not comparable"),
        ({"zoo": read(pixels, "pyvips"), "OpenCV": read(pixels[::-1])}, "different"),
        ({"zoo": read(pixels, "pyvips"), "OpenCV": read(pixels[:-1])}, "different"),
        ({"zoo": read(eight, "Pillow"), "OpenCV": read(pixels)}, "reduced"),
        ({"zoo": refused, "OpenCV": read(pixels)}, "refused"),
        ({"zoo": refused, "OpenCV": refused}, "refused rightly"),
        ({"zoo": Outcome("crashed", "exit code -11"), "OpenCV": refused}, "crashed"),
    ):
        assert judge(PNG_16, outcomes).name == expected
    assert judge(Declared("TGA"), {"zoo": refused, "Pillow": read(eight)}).name == "refused rightly"


def test_what_is_hidden_does_not_count_and_orientation_may_be_left_to_others() -> None:
    own = noise(4)
    own[0, 0, 3] = 0
    other = own.copy()
    other[0, 0, :3] = 0
    found = difference(Read(own), Read(np.rot90(other), orientation=6), PNG_16)
    assert found is not None
    assert found.largest == 0


@pytest.mark.server
def test_a_decoder_that_dies_or_hangs_is_started_again(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(noise(1)))
    worker = Worker("Pillow", timeout_s=30)
    try:
        assert worker.decode(path).status == "read"
        os.kill(worker._process.pid, signal.SIGKILL)
        worker._process.join()
        assert worker.decode(path).status == "crashed"
        assert worker.decode(path).status == "read"
        os.kill(worker._process.pid, signal.SIGSTOP)
        worker._timeout_s = 0
        assert worker.decode(path).status == "timed out"
        worker._timeout_s = 30
        assert worker.decode(path).status == "read"
    finally:
        worker.close()


@pytest.mark.server
def test_a_folder_is_examined(tmp_path: Path) -> None:
    files, out = tmp_path / "files", tmp_path / "out"
    (files / "some").mkdir(parents=True)
    (files / "some" / "deep.png").write_bytes(png(noise(3)))
    (files / "some" / "signed.tif").write_bytes(tiff(noise(1, "int16")))
    (files / "broken.png").write_bytes(png(noise(3))[:60])
    Image.new("RGB", (8, 6)).save(files / "plain.bmp")
    main([str(files), "--out", str(out), "--no-speed"])
    report = json.loads((out / "decoders.json").read_text())
    assert report["by"]["format"]["all"]["classes"] == {"right": 2, "refused rightly": 1, "refused": 1}
    assert report["by"]["project"]["some"]["read"]["zoo"] == 1
    assert report["by"]["format"]["PNG"]["full depth"]["Pillow"] == 0
    assert [row["file"] for row in report["noted"]] == ["some/signed.tif"]
    assert "some/signed.tif" in (out / "decoders.md").read_text()
