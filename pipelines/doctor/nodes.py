"""``python -m pipelines.doctor.nodes ADDRESS ROOT``: probe every node of a Ray cluster.

Each node must see a file that was just written into the work tree, write one back, and have the same
software. Prints the resources of the nodes and the findings as JSON.
"""

import json
import platform
import secrets
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipelines.core.errors import is_expected
from pipelines.core.layout import Layout
from pipelines.core.ray_cluster import ray_cluster
from pipelines.doctor.report import Finding
from pipelines.running.fingerprint import code_digest

MARKER = "marker"

NODES_TIMEOUT_S = 20.0
"""For all nodes to answer; Ray may have to start a worker process on each."""
VISIBLE_WITHIN_S = 5.0
"""NFS caches that a file did not exist, so one that another node wrote may appear late."""


def main(address: str, root: str) -> None:
    """Print the report; a known error is one line on stderr."""
    try:
        with ray_cluster(address, num_cpus=0):
            nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
            found = check_nodes(nodes, Layout(Path(root)))
    except Exception as error:
        if not is_expected(error):
            raise
        sys.exit(str(error))
    resources = [node["Resources"] for node in nodes]
    print(json.dumps({"resources": resources, "findings": [asdict(finding) for finding in found]}))


def check_nodes(nodes: Sequence[Mapping[str, Any]], layout: Layout) -> list[Finding]:
    """Probe the nodes of the cluster that this process has joined; nothing is left in the work tree.

    Args:
        nodes: as Ray describes them.
        layout: of the work tree.
    """
    content = secrets.token_hex(16)
    with _make_marker(layout, content) as folder:
        tasks = {_start_probe(node["NodeID"], folder, content): node for node in nodes}
        answered, _ = ray.wait(list(tasks), num_returns=len(tasks), timeout=NODES_TIMEOUT_S)
        found: list[Finding] = []
        for task, node in tasks.items():
            name = str(node["NodeManagerAddress"])
            if task not in answered:
                remedy = "look at the node: ray status, and its logs below /tmp/ray/session_latest"
                message = f"{name} did not answer within {NODES_TIMEOUT_S:g} s"
                found.append(Finding.fault("cluster", message, remedy))
                continue
            try:
                found += check_node(name, ray.get(task), folder / node["NodeID"], content)
            except ray.exceptions.RayError as error:
                remedy = "install the same version of tunable-zoo on every node, with the extra pipelines"
                last_line = (str(error).strip() or type(error).__name__).splitlines()[-1]
                found.append(Finding.fault("cluster", f"{name} cannot run this package: {last_line}", remedy))
    return found


@contextmanager
def _make_marker(layout: Layout, content: str) -> Iterator[Path]:
    is_new = not layout.state.exists()
    layout.state.mkdir(exist_ok=True)
    try:
        with TemporaryDirectory(dir=layout.state, prefix="doctor-") as name:
            folder = Path(name)
            folder.chmod(0o777)  # workers may run as another user
            (folder / MARKER).write_text(content, encoding="utf-8")
            yield folder
    finally:
        if is_new:
            layout.state.rmdir()


def _start_probe(node: str, folder: Path, content: str) -> Any:
    strategy = NodeAffinitySchedulingStrategy(node, soft=False)
    # No CPU, so that a busy cluster answers too.
    task = ray.remote(probe_node).options(num_cpus=0, max_retries=0, scheduling_strategy=strategy)
    return task.remote(str(folder), content, node)


def probe_node(folder: str, content: str, node: str) -> dict[str, str]:
    """Read the marker, write it back, and report the software; runs on a node.

    Args:
        folder: holds the marker, on storage that all nodes share.
        content: expected of the marker.
        node: id of the node, and name of the file that is written back.

    Returns:
        ``host``; ``trouble``, empty if the folder is shared; and :func:`list_software`.
    """
    marker, trouble = Path(folder) / MARKER, ""
    try:
        if marker.read_text(encoding="utf-8") == content:
            marker.with_name(node).write_text(content, encoding="utf-8")
        else:
            trouble = f"{marker} has another content there"
    except OSError as error:
        trouble = f"{error.strerror or error}: {error.filename or folder}"
    return {"host": socket.gethostname(), "trouble": trouble, **list_software()}


def list_software() -> dict[str, str]:
    """Versions that the numbers of a run depend on, and a digest of the training code; by name."""
    return {
        "Python": platform.python_version(),
        "torch": version("torch"),
        "tunable-zoo": version("tunable-zoo"),
        "training code": code_digest()[:12],
    }


def check_node(name: str, report: Mapping[str, str], answer: Path, content: str) -> list[Finding]:
    """Check a node's shared storage and software.

    Args:
        name: address of the node.
        report: of :func:`probe_node`.
        answer: the file that the node wrote back.
        content: expected of it.
    """
    name = f"{name} ({report['host']})"
    here = list_software()
    differing = [f"{what} {report[what]}, here {mine}" for what, mine in here.items() if report[what] != mine]
    found = []
    if trouble := report["trouble"] or _await_answer(answer, content):
        remedy = "mount the work tree on every node, under the same path and writable by the same user"
        found.append(Finding.fault("storage", f"{name} does not share this work tree: {trouble}", remedy))
    else:
        found.append(Finding.ok("storage", f"{name} reads and writes this work tree"))
    if differing:
        remedy = "install the same version on every node, or the numbers of a run depend on where it runs"
        found.append(Finding.fault("cluster", f"{name} has {'; '.join(differing)}", remedy))
    else:
        found.append(Finding.ok("cluster", f"{name} has the same {', '.join(here)}"))
    return found


def _await_answer(answer: Path, content: str) -> str:
    """Why the file that a node wrote does not arrive; empty if it does."""
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while not (answer.is_file() and answer.read_text(encoding="utf-8") == content):
        if time.monotonic() > deadline:
            return f"what it writes into {answer.parent} does not arrive here"
        time.sleep(0.1)
    return ""


if __name__ == "__main__":
    # By its name, so that nodes import the probe from their own installation.
    from pipelines.doctor import nodes as module

    module.main(*sys.argv[1:])
