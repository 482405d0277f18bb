"""End to end: ``tunable serve`` as a process, with Ray Serve and without, over a socket."""

import io
import re
import signal
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

import zoo
from pipelines.core.errors import ConfigError
from pipelines.serve.config import ServeConfig
from served import HOLDING, find_marked, find_replicas, list_listeners, read_until, start_server
from waiting import UNREACHED_S, wait_until

APPLY = "/v1/models/tiny:apply"
BREAKING = """
from pipelines.cli import main
from pipelines.serve import server


class Breaking(server.Endpoint):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        for model in self._models.values():
            engine, at = model._engine, model._engine.at
            engine.at = lambda omega: at(omega) if omega[0] != 0.25 else engine.is_broken


server.Endpoint = Breaking
main()
"""
"""``tunable serve`` with models that raise AttributeError at denoise=0.25."""

UNABLE = BREAKING.replace("engine, at = ", "raise RuntimeError('no such model')\n            engine, at = ")
"""``tunable serve`` with models that do not load."""


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
        # Of each replica one port listens on all interfaces, whatever Ray is told: that on which it takes
        # calls of other deployments. It asks for the cluster's token, and nothing here uses it.
        listeners = list_listeners(process.pid)
        assert len(listeners) > 5
        [title] = [title for is_loopback, title in listeners if not is_loopback]
        assert title.startswith("ray::ServeReplica:")
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").status_code == 200
        good = client.post(APPLY, files={"image": photo}, data={"denoise": "0.5"})
        assert good.status_code == 200
        assert good.headers["content-type"] == "image/png"
        assert good.headers["tunable-version"] == entry.version
        wrong = client.post(APPLY, files={"image": photo}, data={"denoise": "2"})
        assert wrong.status_code == 422
        assert wrong.json()["error"]["code"] == "invalid_slider"
        large = client.post(APPLY, files={"image": bytes(130 * 2**20)})
        assert large.status_code == 413
        assert large.json()["error"]["code"] == "body_too_large"
        assert client.post(APPLY, files={"image": photo}, data={"denoise": "0.25"}).status_code == 500
        assert read_until(process, f"POST {APPLY}: AttributeError: .*'(is_broken)'")
        wait_until(lambda: any("is_broken" in path.read_text() for path in log.glob("replica_*")))
        process.send_signal(signal.SIGTERM)
        process.communicate()
        assert process.returncode == 0
        wait_until(lambda: find_marked(mark) == [])
    assert not (tmp_path / ".ray").exists()


@pytest.mark.cluster
@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize("options", [["--local"], []], ids=["local", "ray"])
def test_a_stop_finishes_running_pictures_and_refuses_new_ones(
    entry: zoo.Entry, photo: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.setenv("HOLD", str(tmp_path))
    files = {"image": photo}
    with (
        start_server(HOLDING, entry.folder, tmp_path, "", "--access-log", "none", *options) as process,
        httpx.Client(base_url=read_until(process, "^Serving at ([^ ]+)"), timeout=UNREACHED_S) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        if not options:
            read_until(process, "^(The log is)")
        running = threads.submit(client.post, APPLY, files=files, data={"denoise": "0.75"})
        wait_until(lambda: list(tmp_path.glob("started-*")))
        process.send_signal(signal.SIGTERM)
        read_until(process, "^(Stopping ...)$")
        wait_until(lambda: client.get("/readyz").status_code == 503)
        refused = client.post(APPLY, files=files, data={"denoise": "0.5"})
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "stopping"
        assert int(refused.headers["retry-after"]) > 0
        assert not running.done()
        (tmp_path / "go").touch()
        assert running.result().status_code == 200
        said, _ = process.communicate()
    assert process.returncode == 0
    # Where nothing else runs there are none of these; a busy machine is late with answers inside Ray.
    assert [line for line in said.splitlines() if "Failed to get queue length" not in line] == []


@pytest.mark.cluster
@pytest.mark.server
@pytest.mark.slow
def test_a_replica_that_is_killed_leaves_503_and_has_a_successor(
    entry: zoo.Entry, photo: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLD", str(tmp_path))
    files = {"image": photo}
    expected = np.asarray(zoo.load(entry.folder)(Image.open(io.BytesIO(photo)), denoise=0.5))
    with (
        start_server(HOLDING, entry.folder, tmp_path) as process,
        httpx.Client(base_url=read_until(process, "^Serving at ([^ ]+)"), timeout=UNREACHED_S) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        for _ in range(2):
            [replica] = find_replicas(process.pid)
            held = threads.submit(client.post, APPLY, files=files, data={"denoise": "0.75"})
            wait_until((tmp_path / f"started-{replica.pid}").exists)
            replica.kill()
            others = [
                threads.submit(client.post, APPLY, files=files, data={"denoise": "0.5"}) for _ in range(7)
            ]
            dropped = held.result()
            assert dropped.status_code == 503
            assert dropped.json()["error"]["code"] == "unavailable"
            assert int(dropped.headers["retry-after"]) > 0
            for response in (other.result() for other in others):
                if response.status_code == 503:
                    assert response.json()["error"]["code"] == "unavailable"
                    assert int(response.headers["retry-after"]) > 0
                else:
                    assert (np.asarray(Image.open(io.BytesIO(response.content))) == expected).all()
            wait_until(lambda: client.get("/readyz").status_code == 200)
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 0


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
        start_server(main, entry.folder, tmp_path, "", "--local", "--access-log", "none") as process,
        httpx.Client(base_url=read_until(process, "^Serving at ([^ ]+)")) as client,
    ):
        assert client.get("/readyz").status_code == 200
        files = {"image": photo}
        answer = client.post(APPLY, files=files, data={"denoise": "0.5"})
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
