"""The whole endpoint, once: ``tunable serve`` in a process of its own, with Ray Serve, over a socket."""

import os
import re
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
from pipelines.core.errors import ConfigError
from pipelines.serve.config import ServeConfig
from waiting import wait_until

ROOT = Path(pipelines.__file__).parents[1]
BREAKING = """
from pipelines.cli import main
from pipelines.serve import server


class Breaking(server.Endpoint):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        for model in self._models.values():
            engine, at = model._engine, model._engine.at
            engine.at = lambda omega: at(omega) if omega[0] < 1 else engine.is_broken


server.Endpoint = Breaking
main()
"""
"""``tunable serve``, where denoise=1 is an error of the kind that nobody foresaw."""

UNABLE = BREAKING.replace("engine, at = ", "raise RuntimeError('no such model')\n            engine, at = ")
"""The same, with models that do not load."""


@contextmanager
def started(main: str, entry: Path, cwd: Path, mark: str) -> Iterator[subprocess.Popen[str]]:
    """The process; ``mark`` is in the environment of every process it starts."""
    environment = {**os.environ, "HOME": str(cwd), "PYTHONPATH": str(ROOT), "MARK": mark}
    command = [sys.executable, "-c", main, "serve", str(entry), "--port", "0"]
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            for pid in alive(mark):
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)


def awaited(process: subprocess.Popen[str], pattern: str) -> str:
    """What a group of the pattern matched in a line that the process writes."""
    said = []
    for line in process.stdout or ():
        said.append(line)
        if match := re.search(pattern, line):
            return match[1]
    return pytest.fail(f"the server ended before it wrote {pattern}:\n" + "".join(said))


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
def test_serves_tells_of_faults_and_leaves_no_process(entry: zoo.Entry, photo: bytes, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    with (
        started(BREAKING, entry.folder, tmp_path, mark) as process,
        httpx.Client(base_url=awaited(process, "^Serving at ([^ ]+)")) as client,
    ):
        log = Path(awaited(process, "^The log is in (.+)"))
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
        assert client.post(apply, files={"image": photo}, data={"denoise": "1"}).status_code == 500
        assert awaited(process, f"POST {apply}: AttributeError: .*'(is_broken)'")
        wait_until(lambda: any("is_broken" in path.read_text() for path in log.glob("replica_*")))
        process.send_signal(signal.SIGTERM)
        process.communicate()
        assert process.returncode == 0
        wait_until(lambda: alive(mark) == [])
    assert not (tmp_path / ".ray").exists()


@pytest.mark.cluster
@pytest.mark.server
def test_a_replica_that_cannot_start_says_why(entry: zoo.Entry, tmp_path: Path) -> None:
    with started(UNABLE, entry.folder, tmp_path, uuid.uuid4().hex) as process:
        said, _ = process.communicate()
    assert process.returncode == 1
    told = "tunable: the replicas did not start: RuntimeError: no such model; the log is in "
    assert [line for line in said.splitlines() if line.startswith(told)]


@pytest.mark.server
@pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`:DeprecationWarning")  # Ray's own
def test_a_taken_port_is_told_before_ray_starts(entry: zoo.Entry) -> None:
    from pipelines.serve.server import running

    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = ServeConfig(port=taken.getsockname()[1])
        with pytest.raises(ConfigError, match="cannot listen on"), running({"tiny": entry.folder}, config):
            pass
