"""Models on a Ray cluster that runs already, beside what others serve there."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import yaml

import zoo
from pipelines.cli.serve import _load_config
from pipelines.core.errors import ConfigError
from pipelines.serve.applications import BUILDER, write_deploy_file
from pipelines.serve.config import ServeConfig
from published import publish_small
from served import find_marked, read_until, start_server
from tunable_models import Control, ControlSpace
from waiting import UNREACHED_S, wait_until

MAIN = "from pipelines.cli import main; main()"
APPLY = "/v1/models/tiny:apply"
SOMEONES = """
import sys
import ray
from ray import serve
from ray.serve.config import HTTPOptions

@serve.deployment
class Hello:
    async def __call__(self, request):
        return "hello"

ray.init(address=sys.argv[1])
serve.start(http_options=HTTPOptions(port=int(sys.argv[2])))
serve.run(Hello.bind(), name="someones", route_prefix="/hello")
"""

UNHEALTHY = """
from pipelines.cli import main
from pipelines.serve import server

class Unhealthy(server.Endpoint):
    async def check_health(self):
        raise RuntimeError("out of order")

server.Endpoint = Unhealthy
main()
"""


class Ports(NamedTuple):
    """Free ports: of the head, of the servers that it starts, and of HTTP."""

    head: int
    dashboard: int
    agent: int
    clients: int
    http: int


@pytest.fixture(scope="module")
def ports() -> Ports:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in Ports._fields]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return Ports(*(probe.getsockname()[1] for probe in probes))


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """Of the cluster and its clients: on the loopback, with a token."""
    return {
        **os.environ,
        "MARK": uuid.uuid4().hex,
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


@pytest.fixture(scope="module")
def address(ports: Ports, environment: dict[str, str]) -> Iterator[str]:
    """A running cluster of one node, with four CPUs whatever the machine has."""
    folder = tempfile.mkdtemp(prefix="ray-")  # short: Ray's sockets are below it
    command = [Path(sys.executable).with_name("ray"), "start", "--head", "--num-cpus=4", "--num-gpus=0"]
    command += [f"--port={ports.head}", f"--dashboard-port={ports.dashboard}", f"--temp-dir={folder}"]
    command += [f"--dashboard-agent-listen-port={ports.agent}", f"--ray-client-server-port={ports.clients}"]
    try:
        subprocess.run(command, env=environment, check=True, capture_output=True)
        yield f"127.0.0.1:{ports.head}"
    finally:
        for pid in find_marked(environment["MARK"]):
            os.kill(int(pid), signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def _client(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@contextmanager
def serving(
    main: str, entry: zoo.Entry, address: str, port: int, *options: str
) -> Iterator[subprocess.Popen[str]]:
    """``tunable serve`` on the cluster; its processes are those of the command alone."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ("--address", address, "--port", str(port), "--threads", "1", *options)
        with start_server(main, entry.folder, Path(folder), uuid.uuid4().hex, *arguments) as process:
            yield process


def end(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    return said


@pytest.mark.cluster
@pytest.mark.server
@pytest.mark.slow
def test_models_are_served_beside_other_applications(
    entry: zoo.Entry, photo: bytes, tmp_path: Path, address: str, ports: Ports
) -> None:
    subprocess.run(
        [sys.executable, "-c", SOMEONES, address, str(ports.http)], check=True, capture_output=True
    )
    other = publish_small(tmp_path, ControlSpace.box(Control(name="sharpen", description="x.")), name="other")
    url = f"http://127.0.0.1:{ports.http}"
    with httpx.Client(base_url=url, timeout=UNREACHED_S) as client:
        with serving(MAIN, entry, address, 1) as first, serving(MAIN, other, address, 1) as second:
            # Serve runs there already, so its address counts, and not the option.
            assert read_until(first, "^Serving at ([^ ]+)") == url
            page = read_until(first, r"^tiny: .*\(page: (\S+)\)")
            assert read_until(second, "^Serving at ([^ ]+)") == url
            assert httpx.get(page).status_code == 200
            for name in ("tiny", "other"):
                answer = client.post(f"/v1/models/{name}:apply", files={"image": photo})
                assert answer.headers["tunable-model"] == name
            with serving(MAIN, entry, address, 1) as third:
                said, _ = third.communicate()
            assert third.returncode == 1
            assert "tunable-tiny already; with --replace" in said
            end(second)
            assert client.post("/v1/models/other:apply", files={"image": photo}).status_code == 404
            assert client.post(APPLY, files={"image": photo}).status_code == 200
            end(first)
        assert client.get("/hello").text == "hello"
        assert client.post(APPLY, files={"image": photo}).status_code == 404


@pytest.mark.cluster
@pytest.mark.server
@pytest.mark.slow
def test_a_replacement_that_fails_leaves_the_old_version(
    entry: zoo.Entry, photo: bytes, address: str, ports: Ports
) -> None:
    statuses: list[int] = []
    over = threading.Event()
    with serving(MAIN, entry, address, ports.http) as old:
        url = read_until(old, "^Serving at ([^ ]+)")

        def keep_asking() -> None:
            with httpx.Client(timeout=UNREACHED_S) as client:
                while not over.is_set():
                    statuses.append(client.post(url + APPLY, files={"image": photo}).status_code)

        asking = threading.Thread(target=keep_asking)
        asking.start()
        try:
            with serving(UNHEALTHY, entry, address, ports.http, "--replace") as failing:
                said, _ = failing.communicate()
            assert failing.returncode == 1
            assert "out of order" in said
            with serving(MAIN, entry, address, ports.http, "--replace") as new:
                read_until(new, "^(Serving)")
                over.set()
                asking.join()
                end(new)
        finally:
            over.set()
            asking.join()
        end(old)
    assert set(statuses) == {200}


@pytest.mark.cluster
@pytest.mark.server
@pytest.mark.slow
def test_the_file_is_what_serve_deploy_takes(
    entry: zoo.Entry, photo: bytes, tmp_path: Path, address: str, ports: Ports
) -> None:
    file = tmp_path / "serve.yaml"
    options = [
        "--threads",
        "1",
        "--host",
        "127.0.0.1",
        "--port",
        str(ports.http),
        "--write-config",
        str(file),
    ]
    subprocess.run([sys.executable, "-c", MAIN, "serve", str(entry.folder), *options], check=True)
    run_serve("deploy", file, "-a", f"http://127.0.0.1:{ports.dashboard}")

    def find_state() -> str:
        status = yaml.safe_load(run_serve("status", "-a", f"http://127.0.0.1:{ports.dashboard}"))
        return str(status["applications"]["tunable-tiny"]["status"])

    wait_until(lambda: find_state() not in ("NOT_STARTED", "DEPLOYING"))
    assert find_state() == "RUNNING"
    answer = httpx.post(f"http://127.0.0.1:{ports.http}{APPLY}", files={"image": photo}, timeout=UNREACHED_S)
    assert answer.headers["tunable-version"] == entry.version
    run_serve("shutdown", "-y", "-a", f"http://127.0.0.1:{ports.dashboard}")


def run_serve(*arguments: object) -> str:
    program = Path(sys.executable).with_name("serve")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_file_names_each_model_and_what_differs_from_the_defaults(tmp_path: Path) -> None:
    config = ServeConfig(host="0.0.0.0", port=9000, replicas=2, num_gpus=0.5, allowed_hosts=("a.org",))
    write_deploy_file(tmp_path / "serve.yaml", {"a": Path("/zoo/a/1"), "b": Path("/zoo/b/2")}, config)
    document = yaml.safe_load((tmp_path / "serve.yaml").read_text())
    assert document["http_options"]["port"] == 9000
    assert [app["name"] for app in document["applications"]] == ["tunable-a", "tunable-b"]
    assert [app["route_prefix"] for app in document["applications"]] == [
        "/v1/models/a:apply",
        "/v1/models/b:apply",
    ]
    assert {app["import_path"] for app in document["applications"]} == {BUILDER}
    assert document["applications"][1]["args"] == {
        "model": "b",
        "entry": "/zoo/b/2",
        "options": {
            "host": "0.0.0.0",
            "port": 9000,
            "replicas": 2,
            "num_gpus": 0.5,
            "allowed_hosts": ["a.org"],
        },
    }


def test_a_file_of_options_comes_between_the_command_line_and_params(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages: {train: {cmd: tunable run train}}")
    (tmp_path / "params.yaml").write_text("serve: {port: 9000, replicas: 3, threads: 4}\n")
    file = tmp_path / "serve.yaml"
    file.write_text("{replicas: 2, port: 9001, allowed_hosts: [a.org]}\n")
    config = _load_config(file, port=9002)
    assert (config.port, config.replicas, config.threads) == (9002, 2, 4)
    assert config.allowed_hosts == ("a.org",)


@pytest.mark.parametrize(
    ("text", "given", "told"),
    [
        ("replcas: 2", {}, r"serve\.yaml.*replcas.*replicas"),
        ("replicas: 0", {}, r"serve\.yaml.*replicas"),
        ("{}", {"replicas": 0}, r"command line.*replicas"),
        ("{replicas: 3}", {"max_replicas": 2}, "max_replicas 2 is below replicas 3"),
    ],
)
def test_a_mistake_names_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, given: dict[str, int], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "serve.yaml").write_text(text)
    with pytest.raises(ConfigError, match=told):
        _load_config(tmp_path / "serve.yaml", **given)
