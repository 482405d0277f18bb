"""The whole endpoint, once: ``tunable serve`` in a process of its own, with Ray Serve, over a socket."""

import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

import pipelines
import zoo
from pipelines.errors import ConfigError
from pipelines.serve.config import ServeConfig
from waiting import wait_until

ROOT = Path(pipelines.__file__).parents[1]
MAIN = "from pipelines.cli import main; main()"


@contextmanager
def serving(entry: Path, cwd: Path, mark: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its URL; ``mark`` is in the environment of every process it starts."""
    environment = {**os.environ, "HOME": str(cwd), "PYTHONPATH": str(ROOT), "MARK": mark}
    command = [sys.executable, "-c", MAIN, "serve", str(entry), "--port", "0"]
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process, url_of(process)
        finally:
            for pid in alive(mark):
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)


def url_of(process: subprocess.Popen[str]) -> str:
    said = []
    for line in process.stdout or ():
        said.append(line)
        if line.startswith("Serving at "):
            return line.split()[2]
    return pytest.fail("the server ended before it served:\n" + "".join(said))


def alive(mark: str) -> list[str]:
    """The processes whose environment holds the mark."""
    return [path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if holds(path, mark)]


def holds(path: Path, mark: str) -> bool:
    try:
        return mark.encode() in path.read_bytes()
    except OSError:  # it ended, or is not ours
        return False


@pytest.mark.cluster
@pytest.mark.server
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for left processes in /proc")
def test_serves_and_leaves_no_process(entry: zoo.Entry, photo: bytes, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    with serving(entry.folder, tmp_path, mark) as (process, url), httpx.Client(base_url=url) as client:
        assert len(alive(mark)) > 3
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").status_code == 200
        apply = "/v1/models/tiny:apply"
        good = client.post(apply, files={"image": photo}, data={"denoise": "0.5"})
        assert good.status_code == 200
        assert good.headers["content-type"] == "image/png"
        assert good.headers["tunable-version"] == entry.version
        wrong = client.post(apply, files={"image": photo}, data={"denoise": "2"})
        assert wrong.status_code == 422
        assert wrong.json()["error"]["code"] == "invalid_slider"
        large = client.post(apply, files={"image": bytes(40 * 2**20)})
        assert large.status_code == 413
        assert large.json()["error"]["code"] == "body_too_large"
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
        wait_until(lambda: alive(mark) == [])
    assert not (tmp_path / ".ray").exists()


@pytest.mark.server
@pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`:DeprecationWarning")  # Ray's own
def test_a_taken_port_is_told_before_ray_starts(entry: zoo.Entry) -> None:
    from pipelines.serve.server import running

    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = ServeConfig(port=taken.getsockname()[1])
        with pytest.raises(ConfigError, match="cannot listen on"), running({"tiny": entry.folder}, config):
            pass
