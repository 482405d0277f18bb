"""End to end: ``tunable serve`` as a process, with Ray Serve and without, over a socket."""

import io
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
import numpy as np
import pytest
from PIL import Image

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
"""``tunable serve`` with models that raise AttributeError at denoise=1."""

UNABLE = BREAKING.replace("engine, at = ", "raise RuntimeError('no such model')\n            engine, at = ")
"""``tunable serve`` with models that do not load."""


@contextmanager
def start_server(
    main: str, entry: Path, cwd: Path, mark: str = "", *options: str
) -> Iterator[subprocess.Popen[str]]:
    """Run the server; ``mark`` is in the environment of every process that it starts."""
    mark = mark or uuid.uuid4().hex
    environment = {**os.environ, "HOME": str(cwd), "PYTHONPATH": str(ROOT), "MARK": mark}
    command = [sys.executable, "-c", main, "serve", str(entry), "--port", "0", *options]
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            for pid in find_marked(mark):
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """Read output up to a line that matches, and return its first group."""
    said = []
    for line in process.stdout or ():
        said.append(line)
        if match := re.search(pattern, line):
            return match[1]
    return pytest.fail(f"the server ended before it wrote {pattern}:\n" + "".join(said))


def find_marked(mark: str) -> list[str]:
    """Processes whose environment has the mark."""
    return [path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if has_mark(path, mark)]


def has_mark(path: Path, mark: str) -> bool:
    try:
        return mark.encode() in path.read_bytes()
    except OSError:  # it ended, or is not ours
        return False


@pytest.mark.cluster
@pytest.mark.server
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for left processes in /proc")
def test_serves_logs_errors_and_leaves_no_process(entry: zoo.Entry, photo: bytes, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    with (
        start_server(BREAKING, entry.folder, tmp_path, mark) as process,
        httpx.Client(base_url=read_until(process, "^Serving at ([^ ]+)")) as client,
    ):
        log = Path(read_until(process, "^The log is in (.+)"))
        assert len(find_marked(mark)) > 3
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
        large = client.post(apply, files={"image": bytes(130 * 2**20)})
        assert large.status_code == 413
        assert large.json()["error"]["code"] == "body_too_large"
        assert client.post(apply, files={"image": photo}, data={"denoise": "1"}).status_code == 500
        assert read_until(process, f"POST {apply}: AttributeError: .*'(is_broken)'")
        wait_until(lambda: any("is_broken" in path.read_text() for path in log.glob("replica_*")))
        process.send_signal(signal.SIGTERM)
        process.communicate()
        assert process.returncode == 0
        wait_until(lambda: find_marked(mark) == [])
    assert not (tmp_path / ".ray").exists()


@pytest.mark.cluster
@pytest.mark.server
def test_a_failed_replica_start_is_reported_with_its_cause(entry: zoo.Entry, tmp_path: Path) -> None:
    with start_server(UNABLE, entry.folder, tmp_path, uuid.uuid4().hex) as process:
        said, _ = process.communicate()
    assert process.returncode == 1
    assert re.search("^tunable: .*RuntimeError: no such model", said, re.MULTILINE)


@pytest.mark.server
@pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`:DeprecationWarning")  # Ray's own
def test_a_taken_port_is_reported_before_ray_starts(entry: zoo.Entry) -> None:
    from pipelines.serve.server import serve_on_ray

    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = ServeConfig(port=taken.getsockname()[1])
        with pytest.raises(ConfigError, match=r"127\.0\.0\.1"), serve_on_ray({"tiny": entry.folder}, config):
            pass


@pytest.mark.server
@pytest.mark.slow
def test_serves_in_one_process_without_ray(entry: zoo.Entry, photo: bytes, tmp_path: Path) -> None:
    main = (
        "import sys\n"
        "from pipelines.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print('ray' in sys.modules)\n"
    )
    with (
        start_server(main, entry.folder, tmp_path, "", "--local") as process,
        httpx.Client(base_url=read_until(process, "^Serving at ([^ ]+)")) as client,
    ):
        assert client.get("/readyz").status_code == 200
        files = {"image": photo}
        answer = client.post("/v1/models/tiny:apply", files=files, data={"denoise": "0.5"})
        expected = zoo.load(entry.folder)(Image.open(io.BytesIO(photo)), denoise=0.5)
        assert (np.asarray(Image.open(io.BytesIO(answer.content))) == np.asarray(expected)).all()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate()
    assert process.returncode == 0
    assert said.splitlines() == ["Stopping ...", "False"]


def test_one_process_is_one_replica(entry: zoo.Entry) -> None:
    from pipelines.serve.local import serve_locally

    for options in ({"replicas": 2}, {"address": "auto"}):
        with (
            pytest.raises(ConfigError, match="leave out --local"),
            serve_locally({"tiny": entry.folder}, ServeConfig(**options)),
        ):
            pass
