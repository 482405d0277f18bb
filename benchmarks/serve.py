"""Pictures a second, waits and CPU time of the endpoint beside bare FastAPI, LitServe and no server at all.

    pip install 'tunable-zoo[serve]' litserve
    python -m benchmarks.serve                     # about 20 minutes on two cores

All decode, restore and encode the same PNG with the same engine, two pictures at a time on as many threads;
all servers run all the time and take turns to be asked. A client sends its next picture when it has the last
one. The answers of all are compared, pixel by pixel.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from http.client import HTTPConnection
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image

import zoo
from benchmarks.cost.machine import machine, versions
from benchmarks.kept import keep
from zoo.pictures.formats import BY_NAME

SCHEMA = 1
OUT = Path(__file__).parent / "results" / "serve"
ROOT = Path(__file__).parents[1]
AT_ONCE = 2
ALONE, FASTAPI = "in process", "FastAPI and uvicorn"
SERVERS = {
    "ray": "tunable serve",
    "local": "tunable serve --local",
    "fastapi": FASTAPI,
    "litserve": "LitServe",
}
START_S = 300
"""For servers that hang."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", str(AT_ONCE))
    if options.run:
        RUN[options.run](options.entry, options.port)
        return
    torch.set_num_threads(AT_ONCE)
    picture = make_picture(options.side_px)
    model = zoo.load(options.entry)
    with ExitStack() as stack:
        processes = {name: stack.enter_context(start_server(name, options)) for name in options.servers}
        ask: dict[str, Callable[[], Client]] = {ALONE: partial(LocalClient, model, picture)}
        for name, (_, port) in processes.items():
            ask[SERVERS[name]] = partial(HttpClient, port, name, options.entry, picture)
        differing = [name for name, make in ask.items() if not _is_same(make(), model, picture)]
        trees = {SERVERS[name]: process for name, (process, _) in processes.items()}
        rows = list[dict[str, Any]]()
        for clients in options.clients:
            rows += measure_turns(ask, trees, options, clients)
            memory = {name: count_memory(process) for name, process in trees.items()}
            # After each, so that a fault later on costs no more than its own turns.
            keep_report(options, model.engine, differing, memory, rows)


def keep_report(
    options: argparse.Namespace,
    engine: str,
    differing: Sequence[str],
    memory: Mapping[str, int],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Write what was measured so far."""
    used = ("ray", "fastapi", "uvicorn", "litserve", "onnxruntime")
    report = {
        "schema": SCHEMA,
        "machine": machine(torch.device("cpu")),
        "versions": versions(torch.device("cpu")) | {name: version(name) for name in used},
        "settings": {
            "entry": options.entry,
            "engine": engine,
            "side_px": options.side_px,
            "seconds": options.seconds,
            "rounds": options.rounds,
        },
        "differing": differing,
        "memory_bytes": memory,
        "rows": summarize(rows),
    }
    keep(report, options.out, "cpu", write_page(report))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve")
    parser.add_argument("--entry", default="denoise")
    parser.add_argument("--side-px", type=int, default=512, help="of the picture")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--servers", nargs="+", default=list(SERVERS), choices=SERVERS)
    parser.add_argument("--seconds", type=float, default=15.0, help="of a turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--run", choices=SERVERS, help="be one of the servers, and no more")
    parser.add_argument("--port", type=int)
    return parser


def make_picture(side_px: int) -> bytes:
    """A photograph with noise, as PNG."""
    from skimage import data

    astronaut = data.astronaut()  # type: ignore[no-untyped-call]
    photo = np.asarray(Image.fromarray(astronaut).resize((side_px, side_px)), np.float32)
    noise = np.random.default_rng(0).normal(0, 15, photo.shape)
    out = BytesIO()
    Image.fromarray(np.clip(photo + noise, 0, 255).round().astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def restore(model: zoo.Predictor, picture: bytes) -> bytes:
    """What every server does with a picture."""
    return BY_NAME["PNG"].encode(model.restore(zoo.read_picture(picture)), level=1)


def run_on_ray(entry: str, port: int) -> None:
    """Serve as ``tunable serve`` does."""
    from pipelines.serve.server import serve_on_ray

    with serve_on_ray({entry: zoo.resolve(entry).folder}, _make_config(port)):
        threading.Event().wait()


def run_locally(entry: str, port: int) -> None:
    """Serve as ``tunable serve --local`` does."""
    from pipelines.serve.local import serve_locally

    with serve_locally({entry: zoo.resolve(entry).folder}, _make_config(port)):
        threading.Event().wait()


def _make_config(port: int) -> Any:
    from pipelines.serve.config import ServeConfig

    # As the others, it refuses nobody.
    return ServeConfig(
        port=port, concurrency=AT_ONCE, threads=AT_ONCE, max_queued_requests=1000, max_uploads=1000
    )


def run_fastapi(entry: str, port: int) -> None:
    """Serve by a route of a few lines."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    import uvicorn
    from fastapi import FastAPI, Response, UploadFile

    torch.set_num_threads(AT_ONCE)
    model, pool, app = zoo.load(entry), ThreadPoolExecutor(AT_ONCE), FastAPI()

    @app.post("/apply")
    async def apply(image: UploadFile) -> Response:
        content = await image.read()
        made = await asyncio.get_running_loop().run_in_executor(pool, restore, model, content)
        return Response(made, media_type="image/png")

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


def run_litserve(entry: str, port: int) -> None:
    """Serve by LitServe, with as many workers as pictures at a time."""
    from benchmarks.serve_litserve import run_server

    run_server(entry, port, AT_ONCE)


RUN = {"ray": run_on_ray, "local": run_locally, "fastapi": run_fastapi, "litserve": run_litserve}


@contextmanager
def start_server(name: str, options: argparse.Namespace) -> Iterator[tuple[psutil.Process, int]]:
    """A server in processes of its own, once it has answered."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "benchmarks.serve", "--run", name, "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            [*command, "--entry", options.entry], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
        )
        process = psutil.Process(child.pid)
        try:
            deadline = time.monotonic() + START_S
            picture = make_picture(64)
            while True:
                try:
                    with closing(HttpClient(port, name, options.entry, picture)) as ask:
                        ask()
                    break
                except OSError as error:
                    if child.poll() is not None or time.monotonic() > deadline:
                        log.seek(0)
                        said = log.read()[-2000:].decode(errors="replace")
                        raise RuntimeError(f"{SERVERS[name]} did not start: {error}\n{said}") from error
                    time.sleep(0.2)
            yield process, port
        finally:
            below = process.children(recursive=True) if process.is_running() else []
            for each in (process, *below):
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            psutil.wait_procs(below)
            child.wait()


class HttpClient:
    """A client that keeps its connection.

    Args:
        port: of the server.
        name: of it, a key of ``SERVERS``.
        entry: that it serves.
        picture: to send.
    """

    def __init__(self, port: int, name: str, entry: str, picture: bytes) -> None:
        self._name = name
        self._path = f"/v1/models/{entry}:apply" if name in ("ray", "local") else "/apply"
        self._body, self._kind = encode_form("request" if name == "litserve" else "image", picture)
        self._connection = HTTPConnection("127.0.0.1", port)

    def __call__(self) -> bytes:
        """The answer to the picture."""
        try:
            self._connection.request("POST", self._path, self._body, {"Content-Type": self._kind})
            answer = self._connection.getresponse()
            content = answer.read()
        except Exception as error:
            self.close()
            raise OSError(f"{self._name}: {error}") from error
        if answer.status != 200:
            raise OSError(f"{self._name}: {answer.status} {content[:200]!r}")
        return content

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def encode_form(field: str, picture: bytes) -> tuple[bytes, str]:
    """A multipart form of one file, and its media type."""
    head = f'--x\r\nContent-Disposition: form-data; name="{field}"; filename="photo.png"\r\n'
    body = head.encode() + b"Content-Type: image/png\r\n\r\n" + picture + b"\r\n--x--\r\n"
    return body, "multipart/form-data; boundary=x"


class LocalClient:
    """A caller in this process, beside others."""

    places = threading.Semaphore(AT_ONCE)

    def __init__(self, model: zoo.Predictor, picture: bytes) -> None:
        self._model, self._picture = model, picture

    def __call__(self) -> bytes:
        """The restored picture."""
        with self.places:
            return restore(self._model, self._picture)

    def close(self) -> None:
        """Nothing."""


Client = HttpClient | LocalClient


def _is_same(client: Client, model: zoo.Predictor, picture: bytes) -> bool:
    expected = zoo.read_picture(restore(model, picture)).pixels
    with closing(client):
        return bool((zoo.read_picture(client()).pixels == expected).all())


def measure_turns(
    ask: Mapping[str, Callable[[], Client]],
    processes: Mapping[str, psutil.Process],
    options: argparse.Namespace,
    clients: int,
) -> Iterator[dict[str, Any]]:
    """Each server with as many clients, in turns."""
    for number in range(options.rounds):
        # Every other round backwards, against drifts.
        for name in list(ask)[:: 1 if number % 2 == 0 else -1]:
            load = os.getloadavg()[0]
            cpu = _count_cpu(processes.get(name))
            began = time.perf_counter()
            with ExitStack() as stack:
                own = [stack.enter_context(closing(ask[name]())) for _ in range(clients)]
                waits = ask_together(own, options.seconds)
            took = time.perf_counter() - began
            yield {
                "server": name,
                "clients": clients,
                "pictures_per_s": len(waits) / took,
                "wait_ms": [1000 * wait for wait in waits],
                "cpu_s_per_picture": (_count_cpu(processes.get(name)) - cpu) / len(waits),
                "load_before": load,
            }
            print(f"{clients} clients, {name}: {len(waits) / took:.2f} pictures a second", flush=True)


def ask_together(clients: Sequence[Callable[[], bytes]], seconds: float) -> list[float]:
    """Seconds of every answer to clients that ask at the same time, for a while; faults are raised."""
    waits = list[float]()
    faults = list[Exception]()
    until = time.perf_counter() + seconds

    def ask_on(ask: Callable[[], bytes]) -> None:
        try:
            while time.perf_counter() < until:
                began = time.perf_counter()
                ask()
                waits.append(time.perf_counter() - began)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=ask_on, args=(ask,)) for ask in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return waits


def _list_tree(process: psutil.Process | None) -> list[psutil.Process]:
    own = process or psutil.Process()
    return [own, *own.children(recursive=True)] if process else [own]


def _count_cpu(process: psutil.Process | None) -> float:
    times = [each.cpu_times() for each in _list_tree(process)]
    return sum(each.user + each.system for each in times)


def count_memory(process: psutil.Process) -> int:
    """Of a server's processes, what they share counted once."""
    return sum(each.memory_full_info().pss for each in _list_tree(process))


def summarize(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Medians over the rounds, and over all waits; ratios to bare FastAPI in the same round."""
    made = []
    for clients in dict.fromkeys(row["clients"] for row in rows):
        here = [row for row in rows if row["clients"] == clients]
        base = [row["pictures_per_s"] for row in here if row["server"] == FASTAPI]
        for name in dict.fromkeys(row["server"] for row in here):
            own = [row for row in here if row["server"] == name]
            rates = [row["pictures_per_s"] for row in own]
            waits = sorted(wait for row in own for wait in row["wait_ms"])
            made.append(
                {
                    "clients": clients,
                    "server": name,
                    "pictures_per_s": round(statistics.median(rates), 3),
                    "ratio": round(statistics.median(a / b for a, b in zip(rates, base, strict=True)), 3)
                    if base
                    else None,
                    "wait_p50_ms": round(statistics.median(waits), 1),
                    "wait_p95_ms": round(waits[int(0.95 * (len(waits) - 1))], 1),
                    "cpu_s_per_picture": round(statistics.median(row["cpu_s_per_picture"] for row in own), 3),
                    "load_before": round(statistics.median(row["load_before"] for row in own), 2),
                }
            )
    return made


def write_page(report: Mapping[str, Any]) -> str:
    """The report as a page."""
    settings, machine_ = report["settings"], report["machine"]
    turns = f"{settings['rounds']} turns of {settings['seconds']:g} s"
    differing = ", ".join(report["differing"]) or "none"
    used = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    side = settings["side_px"]
    lines = [
        f"# The endpoint beside others, on {machine_['processor']}",
        "",
        f"{machine_['cores']} cores; {used}. PNGs of {side}x{side}, `{settings['entry']}` on "
        f"{settings['engine']}, {AT_ONCE} pictures at a time on {AT_ONCE} threads. {turns} "
        "for each; medians over the turns, and over all waits. Clients run on the same cores. Answers that "
        f"differ from the predictor's: {differing}.",
        "",
        "| clients | server | pictures/s | over FastAPI | wait p50, ms | p95 | CPU s a picture | load |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in report["rows"]:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.3f}"
        lines.append(
            f"| {row['clients']} | {row['server']} | {row['pictures_per_s']:.2f} | {ratio} | "
            f"{row['wait_p50_ms']:.0f} | {row['wait_p95_ms']:.0f} | {row['cpu_s_per_picture']:.2f} | "
            f"{row['load_before']:.1f} |"
        )
    lines += ["", "| server | memory after all, MB |", "|---|---:|"]
    lines += [f"| {name} | {nbytes / 1e6:.0f} |" for name, nbytes in report["memory_bytes"].items()]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
