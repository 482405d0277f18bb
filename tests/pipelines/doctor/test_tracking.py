import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from pipelines.core.layout import Layout
from pipelines.doctor import tracking as module
from pipelines.doctor.tracking import tracking

pytestmark = pytest.mark.server


@pytest.fixture
def serve() -> Iterator[Callable[[int], str]]:
    """Starts a server on the loopback that answers everything with one status; its address."""
    with ExitStack() as stack:

        def start(status: int) -> str:
            class Handler(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    self.send_response(status if self.path == "/mlflow/health" else 418)
                    self.end_headers()

                def log_message(self, *_: object) -> None:
                    pass

            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
            thread = Thread(target=server.serve_forever, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return f"127.0.0.1:{server.server_port}/mlflow"

        yield start


def test_a_file_that_is_not_there_yet(layout: Layout) -> None:
    [found] = tracking(layout)
    assert found.level == "ok"
    assert not (layout.root / "mlflow.db").exists()


def test_a_database_that_answers(layout: Layout) -> None:
    with closing(sqlite3.connect(layout.root / "mlflow.db")) as database:
        database.execute("CREATE TABLE runs (id)")
    assert tracking(layout)[0].level == "ok"


def test_a_file_that_is_none_is_a_warning(layout: Layout) -> None:
    (layout.root / "mlflow.db").write_text("this is no database, whatever its name says" * 50)
    [found] = tracking(layout)
    assert found.level == "warning"
    assert "not a database" in found.message


@pytest.mark.parametrize(("status", "level"), [(200, "ok"), (401, "ok"), (500, "warning"), (404, "warning")])
def test_a_server_is_asked_for_its_health(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, serve: Callable[[int], str], status: int, level: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@{serve(status)}/")
    [found] = tracking(layout)
    assert found.level == level
    assert "secret" not in found.message + found.remedy


def test_no_server_is_a_warning(layout: Layout, monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port}")
    [found] = tracking(layout)
    assert found.level == "warning"
    assert "Connection refused" in found.message
    assert "goes on without it" in found.remedy


def test_a_server_that_says_nothing_is_given_up(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(module, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        [found] = tracking(layout)
    assert found.level == "warning"
    assert "timed out" in found.message


def test_other_stores_are_not_asked(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "databricks")
    assert tracking(layout)[0].level == "ok"
