"""Storage that all nodes of a cluster share, and software that is the same on each."""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipelines.core.layout import Layout
from pipelines.doctor.finding import About, Finding
from pipelines.doctor.node import MARKER, look, software

Node = Mapping[str, Any]
"""As Ray describes it."""

CLUSTER, STORAGE = About("cluster"), About("storage")

NODES_TIMEOUT_S = 20.0
"""For all nodes to answer; a worker process may have to start on each."""
VISIBLE_WITHIN_S = 5.0
"""A file that another node wrote shows up late on NFS, which remembers what was not there."""


def shared_storage(nodes: Sequence[Node], layout: Layout) -> list[Finding]:
    """Whether every node sees a file just written into the work tree, answers there, and has our software.

    Nothing stays behind.

    Args:
        nodes: of the cluster this process has joined.
        layout: of the work tree.
    """
    content = secrets.token_hex(16)
    with _marker(layout, content) as folder:
        tasks = {_ask(node["NodeID"], folder, content): node for node in nodes}
        answered, _ = ray.wait(list(tasks), num_returns=len(tasks), timeout=NODES_TIMEOUT_S)
        found: list[Finding] = []
        for task, node in tasks.items():
            name = str(node["NodeManagerAddress"])
            if task not in answered:
                remedy = "look at the node: ray status, and its logs below /tmp/ray/session_latest"
                found.append(CLUSTER.fault(f"{name} did not answer within {NODES_TIMEOUT_S:g} s", remedy))
            else:
                found += _told(name, task, folder / node["NodeID"], content)
    return found


@contextmanager
def _marker(layout: Layout, content: str) -> Iterator[Path]:
    new = not layout.state.exists()
    layout.state.mkdir(exist_ok=True)
    try:
        with TemporaryDirectory(dir=layout.state, prefix="doctor-") as name:
            folder = Path(name)
            folder.chmod(0o777)  # workers may run as another user
            (folder / MARKER).write_text(content, encoding="utf-8")
            yield folder
    finally:
        if new:
            layout.state.rmdir()


def _ask(node: str, folder: Path, content: str) -> Any:
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    # No CPU, so that a cluster that is busy answers too.
    task = ray.remote(look).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
    return task.remote(str(folder), content, node)


def _told(name: str, task: Any, answer: Path, content: str) -> list[Finding]:
    try:
        return verdict(name, ray.get(task), answer, content)
    except ray.exceptions.RayError as error:
        remedy = "install the same version of tunable-zoo on every node, with the extra pipelines"
        return [CLUSTER.fault(f"{name} cannot run our code: {_last_line(error)}", remedy)]


def verdict(name: str, report: Mapping[str, str], answer: Path, content: str) -> list[Finding]:
    """What a node's report says of its storage and its software.

    Args:
        name: of the node.
        report: of :func:`pipelines.doctor.node.look`.
        answer: the file that the node wrote back.
        content: that it must have.
    """
    name = f"{name} ({report['host']})"
    return [_storage(name, report["trouble"] or _unseen(answer, content)), *_differences(name, report)]


def _storage(name: str, trouble: str) -> Finding:
    if not trouble:
        return STORAGE.ok(f"{name} reads and writes this work tree")
    remedy = "mount the work tree on every node, under the same path and writable by the same user"
    return STORAGE.fault(f"{name} does not share this work tree: {trouble}", remedy)


def _unseen(answer: Path, content: str) -> str:
    until = time.monotonic() + VISIBLE_WITHIN_S
    while not (answer.is_file() and answer.read_text(encoding="utf-8") == content):
        if time.monotonic() > until:
            return f"what it writes into {answer.parent} does not arrive here"
        time.sleep(0.1)
    return ""


def _differences(name: str, report: Mapping[str, str]) -> list[Finding]:
    here = software()
    other = [f"{what} {report[what]}, here {mine}" for what, mine in here.items() if report[what] != mine]
    if not other:
        return [CLUSTER.ok(f"{name} has the same tunable-zoo and torch as this machine")]
    remedy = "install the same version on every node, or the numbers of a run depend on where it runs"
    return [CLUSTER.fault(f"{name} has {'; '.join(other)}", remedy)]


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
