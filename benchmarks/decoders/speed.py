"""Seconds for a megapixel on pictures made here, and the size of what each candidate installs."""

import contextlib
import statistics
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import numpy as np
import pyvips

from benchmarks.decoders.decode import DISTRIBUTIONS, Array
from benchmarks.decoders.worker import Worker

WIDTH, HEIGHT = 2448, 1632
TURNS = 5


def write_pictures(folder: Path) -> dict[str, Path]:
    """Files of 4 megapixels by what they are, as smooth and as noisy as photographs."""
    eight, sixteen = _photo(8), _photo(16)
    return {
        name: _write(pixels, folder / f"{name.replace(' ', '-')}{suffix}", **options)
        for name, pixels, suffix, options in (
            ("PNG 8", eight, ".png", {}),
            ("PNG 16", sixteen, ".png", {"bitdepth": 16}),
            ("TIFF 8 deflate", eight, ".tif", {"compression": "deflate", "predictor": "horizontal"}),
            ("TIFF 16 deflate", sixteen, ".tif", {"compression": "deflate", "predictor": "horizontal"}),
            ("TIFF 16 plain", sixteen, ".tif", {}),
            ("JPEG", eight, ".jpg", {"Q": 92}),
            ("WebP", eight, ".webp", {"Q": 85}),
        )
    }


def _photo(bits: int) -> Array:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    planes = [0.5 + 0.3 * np.sin(x / (150 + 40 * c)) * np.cos(y / (90 + 30 * c)) for c in range(3)]
    values = np.stack(planes, 2) + np.random.default_rng(0).normal(0, 0.01, (HEIGHT, WIDTH, 3))
    scaled: Array = np.rint(np.clip(values, 0, 1) * (2**bits - 1))
    return scaled.astype(np.uint8 if bits == 8 else np.uint16)


def _write(pixels: Array, path: Path, **options: object) -> Path:
    space = "rgb16" if pixels.dtype == np.uint16 else "srgb"
    pyvips.Image.new_from_array(pixels).copy(interpretation=space).write_to_file(str(path), **options)
    return path


def time_decoders(files: Mapping[str, Path], workers: Mapping[str, Worker]) -> dict[str, dict[str, object]]:
    """Median seconds for a megapixel, and bits kept, by file and decoder, in turns."""
    found = dict[str, dict[str, object]]()
    for name, path in files.items():
        seconds, bits = dict[str, list[float]](), dict[str, int]()
        for _ in range(TURNS):
            for decoder, worker in workers.items():
                outcome = worker.decode(path)
                if outcome.first is not None:
                    seconds.setdefault(decoder, []).append(outcome.seconds)
                    bits[decoder] = outcome.first.bits
        found[name] = {
            decoder: [round(statistics.median(times) / (WIDTH * HEIGHT / 1e6), 4), bits[decoder]]
            for decoder, times in seconds.items()
        }
    return found


def measure_installed() -> dict[str, dict[str, object]]:
    """Versions of the candidates, and megabytes on the disk by the lists of files that they come with."""
    found = dict[str, dict[str, object]]()
    for decoder, names in DISTRIBUTIONS.items():
        versions, size = dict[str, str](), 0
        for name in names:
            with contextlib.suppress(metadata.PackageNotFoundError):
                distribution = metadata.distribution(name)
                versions[distribution.metadata["Name"]] = distribution.version
                paths = [Path(str(file.locate())) for file in distribution.files or ()]
                size += sum(path.stat().st_size for path in paths if path.is_file())
        found[decoder] = {"versions": versions, "megabytes": round(size / 1e6, 1)}
    return found
