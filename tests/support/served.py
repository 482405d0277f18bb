"""``tunable serve`` as a process of a test, and the processes that it starts."""

import ipaddress
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

import pipelines

ROOT = Path(pipelines.__file__).parents[1]
HOLDING = """
import os
import time
from pathlib import Path

from pipelines.cli import main
from pipelines.serve import local, server


def hold(models, folder=Path(os.environ["HOLD"])):
    for model in models.values():

        def restore(picture, values, restore=model.restore, **options):
            if values["denoise"] == 0.75:
                (folder / f"started-{os.getpid()}").touch()
                while not (folder / "go").exists():
                    time.sleep(0.02)
            return restore(picture, values, **options)

        model.restore = restore
    return models


class Holding(server.Endpoint):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        hold(self._models)


load = local.load_models
local.load_models = lambda *arguments: hold(load(*arguments))
server.Endpoint = Holding
server.GRACE_S = local.GRACE_S = 3600
main()
"""
"""``tunable serve`` whose pictures at denoise=0.75 take until there is a file ``go`` in ``$HOLD``."""


@contextmanager
def start_server(
    main: str, entry: Path, cwd: Path, mark: str = "", *options: str
) -> Iterator[subprocess.Popen[str]]:
    """Run the server; ``mark`` is in the environment of every process that it starts."""
    mark = mark or uuid.uuid4().hex
    environment = {**os.environ, "HOME": str(cwd), "PYTHONPATH": str(ROOT), "MARK": mark}
    command = [sys.executable, "-c", main, "serve", str(entry), *options]
    if "--port" not in options:
        command += ["--port", "0"]
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


def list_listeners(pid: int) -> list[tuple[bool, str]]:
    """Ports that a process and those below it listen on: whether of the loopback, and the process's title."""
    server = psutil.Process(pid)
    found = []
    for process in [server, *server.children(recursive=True)]:
        for connection in process.net_connections(kind="inet"):
            if connection.status == psutil.CONN_LISTEN:
                address = ipaddress.ip_address(connection.laddr.ip.removeprefix("::ffff:"))
                found.append((address.is_loopback, find_title(process)))
    return found


def find_replicas(pid: int) -> list[psutil.Process]:
    """Replicas of Ray Serve below a process."""
    below = psutil.Process(pid).children(recursive=True)
    return [process for process in below if find_title(process).startswith("ray::ServeReplica")]


def find_title(process: psutil.Process) -> str:
    """What a process calls itself; empty for one that has ended."""
    try:
        return "".join(process.cmdline()[:1])
    except psutil.NoSuchProcess:
        return ""


def has_mark(path: Path, mark: str) -> bool:
    try:
        return mark.encode() in path.read_bytes()
    except OSError:  # it ended, or is not ours
        return False
