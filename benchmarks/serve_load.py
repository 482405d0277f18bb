"""Does the endpoint stay quick, right and small under loads that go wrong?

    pip install 'tunable-zoo[serve]' litserve
    python -m benchmarks.serve_load --servers local ray   # about an hour on two cores

Each trial asks a server that was just started: mixed requests at once, the memory of a large picture, a small
picture beside large ones and behind abandoned ones, slow uploads, and thousands of requests in a row.
"""

import argparse
import os
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
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
from benchmarks.serve import SERVERS, count_memory, encode_form, make_picture, start_server
from zoo.pictures.formats import BY_NAME

SCHEMA = 1
OUT = Path(__file__).parent / "results" / "serve"
SMALL = (64, 48)
TWENTY_FOUR, TWELVE = (6000, 4000), (4000, 3000)
TRIAL_S = 0.05
SLOW_S = 15.0
"""For which slow uploads are kept up."""

Trial = Callable[["Server", argparse.Namespace], dict[str, Any]]


class Server:
    """A started endpoint.

    Args:
        process: its first process.
        port: where it listens.
        entry: that it serves.
    """

    def __init__(self, process: psutil.Process, port: int, entry: str) -> None:
        self.process, self.port, self.entry = process, port, entry

    def ask(self, picture: bytes, **values: float) -> tuple[bytes, float]:
        """The answer to a picture, and its seconds."""
        began = time.perf_counter()
        with self.send(picture, **values) as connection:
            answer = connection.getresponse()
            content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {content[:300]!r}")
        return content, time.perf_counter() - began

    @contextmanager
    def send(self, picture: bytes, **values: float) -> Iterator[HTTPConnection]:
        """A connection on which a request was sent."""
        connection = HTTPConnection("127.0.0.1", self.port)
        query = "&".join(f"{name}={value}" for name, value in values.items())
        headers = {"Content-Type": "application/octet-stream"}
        try:
            connection.request("POST", f"/v1/models/{self.entry}:apply?{query}", picture, headers)
            yield connection
        finally:
            connection.close()

    def probe(self) -> float:
        """Seconds of an answer to ``/livez``."""
        began = time.perf_counter()
        connection = HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", "/livez")
        if connection.getresponse().status != 200:
            raise RuntimeError("/livez answers no 200")
        connection.close()
        return time.perf_counter() - began

    @contextmanager
    def watch_memory(self) -> Iterator[list[int]]:
        """Bytes of all its processes, at short intervals."""
        seen, stop = [count_memory(self.process)], threading.Event()

        def watch() -> None:
            while not stop.wait(TRIAL_S):
                with suppress(psutil.Error):
                    seen.append(count_memory(self.process))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield seen
        finally:
            stop.set()
            thread.join()


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    torch.set_num_threads(2)
    found: dict[str, dict[str, Any]] = {}
    for name in options.servers:
        found[name] = {}
        for trial in options.trials:
            load = os.getloadavg()[0]
            with start_server(name, options) as (process, port):
                server = Server(process, port, options.entry)
                server.ask(make_picture(512))
                made = TRIALS[trial](server, options)
            found[name][trial] = {"load_before": round(load, 2), **made}
            print(f"{SERVERS[name]}, {trial}: {found[name][trial]}", flush=True)
    report = {
        "schema": SCHEMA,
        "machine": machine(torch.device("cpu")),
        "versions": versions(torch.device("cpu")),
        "settings": {"entry": options.entry},
        "servers": found,
    }
    keep(report, options.out, "load", write_page(report))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve_load")
    parser.add_argument("--entry", default="denoise")
    parser.add_argument("--servers", nargs="+", default=["local", "ray"], choices=["local", "ray"])
    parser.add_argument("--trials", nargs="+", default=list(TRIALS), choices=TRIALS)
    parser.add_argument("--small-requests", type=int, default=10_000, help="of 96x96 in a row")
    parser.add_argument("--large-requests", type=int, default=50, help="of 12 megapixels in a row")
    parser.add_argument("--slow-clients", type=int, default=500)
    parser.add_argument("--large", type=int, nargs=2, default=TWENTY_FOUR, help="sides of a large picture")
    parser.add_argument("--medium", type=int, nargs=2, default=TWELVE, help="sides of one of a row")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser


def make_photo(width: int, height: int) -> bytes:
    """A JPEG of noise in blocks, quick to make at any size."""
    coarse = np.random.default_rng(0).integers(0, 256, (height // 20 + 1, width // 20 + 1, 3), dtype=np.uint8)
    out = BytesIO()
    Image.fromarray(coarse).resize((width, height)).save(out, "JPEG", quality=90)
    return out.getvalue()


def compare_mixed(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """64 clients with pictures of several sizes at several settings, at once."""
    model = zoo.load(options.entry)
    control = model.controls[0]
    random = np.random.default_rng(0)
    cases = []
    for number in range(64):
        side = (40, 64, 200, 512, 700)[number % 5]
        value = round(float(random.uniform(control.low, control.high)), 3)
        cases.append((make_photo(side, side + 8), value))
    with ThreadPoolExecutor(len(cases)) as pool:
        answers = list(pool.map(lambda case: server.ask(case[0], **{control.name: case[1]})[0], cases))
    differing = 0
    for (picture, value), answer in zip(cases, answers, strict=True):
        alone = model.restore(zoo.read_picture(picture), {control.name: value})
        expected = BY_NAME["PNG"].encode(alone, level=1)
        differing += not (zoo.read_picture(answer).pixels == zoo.read_picture(expected).pixels).all()
    return {"clients": len(cases), "differing": differing}


def measure_large(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """The memory and the time of one large picture, and the memory a while after it."""
    photo = make_photo(*options.large)
    idle = count_memory(server.process)
    with server.watch_memory() as seen:
        _, took_s = server.ask(photo)
    time.sleep(2)
    return {
        "seconds": round(took_s, 1),
        "idle_mb": round(idle / 1e6),
        "peak_above_idle_mb": round((max(seen) - idle) / 1e6),
        "after_above_idle_mb": round((count_memory(server.process) - idle) / 1e6),
    }


def measure_small_beside(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """A small picture while two large ones are computed, and after four were abandoned."""
    photo, small = make_photo(*options.large), make_photo(*SMALL)
    with server.send(photo), server.send(photo):
        time.sleep(2)  # until both are computed
        beside = [server.ask(small)[1] for _ in range(5)]
    time.sleep(2)
    for _ in range(4):
        with server.send(photo):
            time.sleep(1)
    behind = [server.ask(small)[1] for _ in range(5)]
    return {
        "beside_two_s": round(max(beside), 3),
        "behind_four_abandoned_s": round(max(behind), 3),
    }


def measure_slow_uploads(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """Probes and a small picture while many clients send a few bytes a second."""
    body, kind = encode_form("image", make_photo(*TWELVE))
    head = (
        f"POST /v1/models/{server.entry}:apply HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    stop = threading.Event()
    sockets = list[socket.socket]()
    for _ in range(options.slow_clients):
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.sendall(head + body[:100])
        sockets.append(connection)

    def drip() -> None:
        place = 100
        while not stop.wait(0.5):
            for connection in sockets:
                with suppress(OSError):
                    connection.sendall(body[place : place + 5])
            place += 5

    thread = threading.Thread(target=drip)
    thread.start()
    small = make_photo(*SMALL)
    try:
        probes, pictures, refused = list[float](), list[float](), 0
        until = time.monotonic() + SLOW_S
        while time.monotonic() < until:
            probes.append(server.probe())
            try:
                pictures.append(server.ask(small)[1])
            except (RuntimeError, OSError):
                refused += 1
            time.sleep(0.1)
    finally:
        stop.set()
        thread.join()
        for connection in sockets:
            connection.close()
    return {
        "slow_clients": len(sockets),
        "livez_most_s": round(max(probes), 3),
        "picture_p50_s": round(statistics.median(pictures), 3) if pictures else None,
        "picture_most_s": round(max(pictures), 3) if pictures else None,
        "pictures": len(pictures),
        "refused": refused,
    }


def measure_rows(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """Memory over many requests: in the first fifth of them, and at the end."""
    made = {}
    for name, size, count in (
        ("small", (96, 96), options.small_requests),
        ("large", options.medium, options.large_requests),
    ):
        photo, memory = make_photo(*size), list[int]()
        for number in range(count):
            server.ask(photo)
            if number < max(1, count // 5):
                memory.append(count_memory(server.process))
        end = count_memory(server.process)
        made[f"{name}_requests"] = count
        made[f"{name}_end_over_first_fifth"] = round(end / statistics.median(memory), 3)
    return made


TRIALS: dict[str, Trial] = {
    "mixed": compare_mixed,
    "large": measure_large,
    "small beside": measure_small_beside,
    "slow uploads": measure_slow_uploads,
    "rows": measure_rows,
}


def write_page(report: Mapping[str, Any]) -> str:
    """The report as a page."""
    used = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    entry = report["settings"]["entry"]
    lines = [
        f"# The endpoint under loads that go wrong, on {report['machine']['processor']}",
        "",
        f"{report['machine']['cores']} cores; {used}. `{entry}`; each trial on a server "
        "that was just started. Memory is that of all its processes, what they share counted once.",
    ]
    for name, trials in report["servers"].items():
        lines += ["", f"## {SERVERS[name]}", "", "| trial | | |", "|---|---|---:|"]
        for trial, values in trials.items():
            lines += [f"| {trial} | {key.replace('_', ' ')} | {value} |" for key, value in values.items()]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
