"""A local web server whose answers can be made faulty, and a port without a server."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Fault:
    """A fault of one answer.

    Attributes:
        status: instead of the file.
        headers: override those of the file.
        cut: close the connection after that many bytes of the body.
        stalls: keep the connection open after them, without sending more.
        body: instead of that of the file.
        deaf: ignore Range.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    stalls: bool = False
    body: bytes | None = None
    deaf: bool = False


GOOD = Fault()


class FileServer:
    """Files by path, and the faults of the next answers, in order."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.closing = threading.Event()
        self.url = ""

    @property
    def ranges(self) -> list[str | None]:
        """The Range header of each request."""
        return [headers.get("Range") for _, headers in self.requests]


@contextmanager
def closed_port() -> Iterator[int]:
    """Reserve a port of 127.0.0.1 without listening on it.

    A server of ours can still bind it, because both set SO_REUSEADDR.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        yield port


@contextmanager
def serving() -> Iterator[FileServer]:
    """Run a server on a free port of 127.0.0.1."""
    state = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            send_answer(self, state)

        def log_message(self, *arguments: object) -> None:
            """Silent."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.closing.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def send_answer(request: BaseHTTPRequestHandler, state: FileServer) -> None:
    """Send a file, or the next fault."""
    state.requests.append((request.path, dict(request.headers)))
    fault = state.faults.pop(0) if state.faults else GOOD
    data = state.files.get(request.path.lstrip("/")) if fault.body is None else fault.body
    if fault.status is not None or data is None:
        request.send_response(fault.status or 404)
        for name, value in fault.headers.items():
            request.send_header(name, value)
        request.end_headers()
        return
    start = find_start(request, data, fault)
    headers = {"ETag": entity_tag(data), "Content-Length": str(len(data) - start)}
    headers |= {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
    request.send_response(206 if start else 200)
    for name, value in (headers | fault.headers).items():
        if value:
            request.send_header(name, value)
    request.end_headers()
    body = data[start:]
    request.wfile.write(body[: fault.cut])
    request.wfile.flush()
    if fault.stalls:
        state.closing.wait()


def find_start(request: BaseHTTPRequestHandler, data: bytes, fault: Fault) -> int:
    """Offset of the body, by Range and If-Range."""
    asked = request.headers.get("Range")
    if asked is None or fault.deaf or request.headers.get("If-Range", entity_tag(data)) != entity_tag(data):
        return 0
    return int(asked.removeprefix("bytes=").rstrip("-"))


def entity_tag(data: bytes) -> str:
    """Entity tag of a file."""
    return f'"{sha256(data).hexdigest()[:8]}"'
