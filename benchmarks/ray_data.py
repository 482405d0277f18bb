"""Does Ray Data keep up with a plain loop, and does a killed job resume where it was?

    python -m benchmarks.ray_data                # 2,000 pictures, two workers; 40 minutes on two cores
    python -m benchmarks.ray_data --count 60     # to see that it works

Pictures are crops of the photographs inside scikit-image, as JPEG. ``zoo.Mapper`` restores them into files,
one thread a worker: by tasks of Ray Data, and by as many processes of a plain pool, in turns. Both have
loaded the model beforehand; the start of Ray and of the pool is not counted. Then a job on Ray is killed when
half of its results are there, and started again.
"""

import argparse
import filecmp
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from multiprocessing.pool import Pool
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import ray
import torch
from PIL import Image

import zoo
from benchmarks.cost.machine import machine, versions
from benchmarks.kept import keep
from pipelines.core.ray_cluster import ray_cluster
from pipelines.data.config import PrepareConfig
from pipelines.data.ingest import ingest_source

SCHEMA = 1
ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
RAY, PLAIN = "Ray Data", "plain pool"
WARM_UP = 16
"""Pictures before the first round, so that every worker has its model."""

CHUNK = 4
"""Pictures that a process of the plain pool takes at a time."""

JPEG_QUALITY = 95


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    # Workers of both kinds compute on one thread each.
    os.environ["OMP_NUM_THREADS"] = "1"
    if options.job:
        source, output = options.job
        with ray_cluster(None, num_cpus=options.workers):
            restore_by_ray(zoo.Mapper(options.entry, source=source, output=output))
        return
    load = os.getloadavg()[0]
    with TemporaryDirectory(prefix="ray-data-") as scratch:
        folder = Path(scratch)
        parts = write_pictures(folder, options)
        rates, differing = measure_rates(folder, parts, options)
        report = {
            "schema": SCHEMA,
            "machine": machine(CPU) | {"load_before": round(load, 2)},
            "versions": versions(CPU) | {name: version(name) for name in ("ray", "onnxruntime")},
            "settings": {
                "entry": options.entry,
                "engine": zoo.load(options.entry).engine,
                "pictures": options.count,
                "side_px": options.side_px,
                "workers": options.workers,
                "rounds": options.rounds,
            },
            "rows": [_make_row(name, own, rates[PLAIN]) for name, own in rates.items()],
            "differing_files": differing,
            "kill": kill_and_resume(folder / "photos", folder / "killed", options),
        }
    keep(report, options.out, "cpu", write_page(report))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ray_data", description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="of pictures")
    parser.add_argument("--side-px", type=int, default=256, help="of a picture")
    parser.add_argument("--rounds", type=int, default=4, help="in which both restore an equal part of them")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--entry", default="denoise")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "ray_data")
    parser.add_argument(
        "--job", nargs=2, metavar=("SOURCE", "OUTPUT"), help="restore a folder with Ray, and no more"
    )
    return parser


def write_pictures(folder: Path, options: argparse.Namespace) -> list[Path]:
    """Write pictures to warm up with, and those of each round; returns their folders."""
    with TemporaryDirectory() as scratch:
        photos = ingest_source("skimage", PrepareConfig(source="skimage"), ROOT, Path(scratch) / "set").photos
        random, side = np.random.default_rng(0), options.side_px
        counts = [WARM_UP, *(len(own) for own in np.array_split(range(options.count), options.rounds))]
        rounds = [folder / "photos" / str(number) for number in range(options.rounds)]
        parts = [folder / "warm-up", *rounds]
        for part, count in zip(parts, counts, strict=True):
            part.mkdir(parents=True)
            for number in range(count):
                photo = photos[int(random.integers(len(photos)))]
                top, left = (int(random.integers(length - side + 1)) for length in photo.shape[:2])
                crop = Image.fromarray(photo[top : top + side, left : left + side])
                crop.save(part / f"{number:05d}.jpg", quality=JPEG_QUALITY)
    return parts


def measure_rates(
    folder: Path, parts: Sequence[Path], options: argparse.Namespace
) -> tuple[dict[str, list[float]], int]:
    """Pictures a second of both in each round, and how many of their files differ."""
    rates: dict[str, list[float]] = {RAY: [], PLAIN: []}
    differing = 0
    spawn = multiprocessing.get_context("spawn")
    with ray_cluster(None, num_cpus=options.workers), spawn.Pool(options.workers) as pool:
        ways: dict[str, Callable[[zoo.Mapper], None]] = {
            RAY: restore_by_ray,
            PLAIN: lambda mapper: restore_by_pool(mapper, pool),
        }
        for number, part in enumerate(parts):
            mappers = {
                name: zoo.Mapper(options.entry, source=part, output=folder / name / part.name)
                for name in ways
            }
            # Every other round backwards, against drifts.
            for name in list(ways)[:: 1 if number % 2 else -1]:
                count, began = len(mappers[name].list_missing()), time.perf_counter()
                ways[name](mappers[name])
                if number:  # the first one warms up
                    rates[name].append(count / (time.perf_counter() - began))
                    print(f"round {number}, {name}: {rates[name][-1]:.2f} pictures a second", flush=True)
            names = [path.name for path in part.iterdir()]
            _, other, lost = filecmp.cmpfiles(
                folder / RAY / part.name, folder / PLAIN / part.name, names, shallow=False
            )
            differing += len(other) + len(lost)
    return rates, differing


def restore_by_ray(mapper: zoo.Mapper) -> None:
    """Restore what is missing by tasks of Ray Data."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = [{"path": path} for path in mapper.list_missing()]
    # Ray's type of a map function is one that takes tables of Arrow and pandas too.
    done = ray.data.from_items(rows).map_batches(mapper, batch_size=1)  # type: ignore[arg-type]
    _check_errors(row["error"] for row in done.iter_rows())


def restore_by_pool(mapper: zoo.Mapper, pool: Pool) -> None:
    """The same by the processes of a pool."""
    batches = ({"path": [path]} for path in mapper.list_missing())
    done = pool.imap_unordered(mapper, batches, chunksize=CHUNK)
    _check_errors(batch["error"][0] for batch in done)


def _check_errors(errors: Iterator[str]) -> None:
    if failed := [error for error in errors if error]:
        raise RuntimeError(f"{len(failed)} pictures failed: {failed[0]}")


def kill_and_resume(source: Path, output: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Kill a job without warning at half of its results, run it again, and count."""
    mapper = zoo.Mapper(options.entry, source=source, output=output)
    total = len(mapper.list_missing())
    process = _start_job(source, output, options)
    while len(_list_files(output)) < total / 2:
        if process.poll() is not None:
            raise RuntimeError(f"the job ended with {process.returncode} before it was killed")
        time.sleep(0.05)
    below = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for each in below:
        each.kill()
    process.wait()
    psutil.wait_procs(below)
    before = {path: path.stat() for path in _list_files(output)}
    missing = len(mapper.list_missing())
    if _start_job(source, output, options).wait():
        raise RuntimeError("the second job failed")
    after = {path: path.stat() for path in _list_files(output)}
    changed = [path for path, status in before.items() if after[path].st_mtime_ns != status.st_mtime_ns]
    return {
        "pictures": total,
        "results_when_killed": len(before),
        "missing": missing,
        "made_by_the_second_run": len(after) - len(before) + len(changed),
        "made_twice": len(changed),
        "missing_in_the_end": len(mapper.list_missing()),
    }


def _start_job(source: Path, output: Path, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.ray_data", "--job", str(source), str(output)]
    own = ["--entry", options.entry, "--workers", str(options.workers)]
    return subprocess.Popen([*command, *own], cwd=ROOT, stderr=subprocess.DEVNULL)


def _list_files(folder: Path) -> list[Path]:
    return list(folder.rglob("*.jpg"))


def _make_row(name: str, own: list[float], plain: list[float]) -> dict[str, Any]:
    return {
        "name": name,
        "pictures_per_s": round(statistics.median(own), 3),
        "least": round(min(own), 3),
        "most": round(max(own), 3),
        "ratio": round(statistics.median(a / b for a, b in zip(own, plain, strict=True)), 3),
    }


def write_page(report: dict[str, Any]) -> str:
    """The report as a page."""
    machine, settings, kill = report["machine"], report["settings"], report["kill"]
    used = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    lines = [
        f"# Many pictures by Ray Data, on {machine['processor']}",
        "",
        f"{machine['cores']} cores, load {machine['load_before']} before; {used}. {settings['pictures']} "
        f"JPEGs of {settings['side_px']} px, `{settings['entry']}` on {settings['engine']}, "
        f"{settings['workers']} workers of one thread. Both restore the same pictures in turns, in "
        f"{settings['rounds']} rounds; medians over the rounds, and of the ratios in each. "
        f"{report['differing_files']} of their files differ.",
        "",
        "| | pictures a second | least, most | over the plain pool |",
        "|---|---:|---|---:|",
    ]
    for row in report["rows"]:
        spread = f"{row['least']:.2f}, {row['most']:.2f}"
        lines.append(f"| {row['name']} | {row['pictures_per_s']:.2f} | {spread} | {row['ratio']:.3f} |")
    lines += [
        "",
        f"Killed at {kill['results_when_killed']} of {kill['pictures']} results: {kill['missing']} were "
        f"missing, the second run made {kill['made_by_the_second_run']}, {kill['made_twice']} of them a "
        f"second time; in the end {kill['missing_in_the_end']} were missing.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
