"""Tracking servers: a real one that can be killed, one that only has faults, some that do not answer."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

from file_server import closed_port
from waiting import wait_until

# Whatever proxy the environment names, these are on this machine.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class RealServer:
    """``mlflow server`` with its database and artefacts in a folder; :func:`real_server` makes one."""

    def __init__(self, folder: Path, port: int) -> None:
        self.uri = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
        self._command += ["--host", "127.0.0.1", "--port", str(port)]
        self._command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        self._command += ["--artifacts-destination", str(folder / "artifacts")]
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start it, if it is not, without waiting until it answers."""
        if self._process is None:
            quick = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command,
                    env={**os.environ, **quick},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # its workers die with it
                )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.begin()
        wait_until(self._answers)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        try:
            with _open(f"{self.uri}/health"):
                return True
        except OSError:
            return False

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def real_server(folder: Path) -> Iterator[RealServer]:
    """One that is not started yet, always at the same address, and killed at the end."""
    with closed_port() as port:
        server = RealServer(folder, port)
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def failing_server(status: int) -> Iterator[str]:
    """Answers every request with that status; its address."""

    class Failing(Handler):
        def answer(self) -> tuple[int, bytes]:
            return status, b""

    with serving(Failing) as address:
        yield address


class Passage:
    """What passes a :func:`passing_server`.

    Attributes:
        address: of the server.
        held: set once a batch is kept waiting.
        release: set it to let all pass.
    """

    def __init__(self, batches: int) -> None:
        self.address = ""
        self.held, self.release = Event(), Event()
        self._left = batches

    def pass_batch(self) -> None:
        """Return when the next batch may pass."""
        if self._left:
            self._left -= 1
        else:
            self.held.set()
            self.release.wait()


@contextmanager
def passing_server(real: str, batches: int) -> Iterator[Passage]:
    """Answers what the real one answers, and keeps batches of values waiting after that many of them."""
    passage = Passage(batches)

    class Passing(Handler):
        def answer(self) -> tuple[int, bytes]:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
            if self.path.endswith("/log-batch"):
                passage.pass_batch()
            kind = {"Content-Type": self.headers.get("Content-Type", "application/json")}
            request = urllib.request.Request(f"{real}{self.path}", body, kind, method=self.command)
            try:
                with _open(request) as response:
                    return response.status, response.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()

    with serving(Passing) as passage.address:
        try:
            yield passage
        finally:
            passage.release.set()


class Handler(BaseHTTPRequestHandler, ABC):
    """Says nothing about the requests it gets."""

    @abstractmethod
    def answer(self) -> tuple[int, bytes]:
        """Status and body."""

    def do_GET(self) -> None:
        status, body = self.answer()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_PATCH = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(handler: type[Handler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def silent_server() -> Iterator[tuple[str, Event]]:
    """Accepts connections and never answers; its address, and an event once somebody has connected."""
    asked, ended = Event(), Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            server.settimeout(0.05)
            while not ended.is_set():
                try:
                    connections.append(server.accept()[0])
                except TimeoutError:
                    continue
                asked.set()

        connections: list[socket.socket] = []
        thread = Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        finally:
            ended.set()
            thread.join()
            for connection in connections:
                connection.close()  # whoever still waits is told
