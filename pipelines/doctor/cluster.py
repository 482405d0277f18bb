"""Check of a named Ray cluster: it answers, accepts this client, has capacity, and its nodes are set up."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipelines.core.errors import ConfigError
from pipelines.core.layout import Layout
from pipelines.doctor.report import Finding
from pipelines.running.ray.capacity import Capacity, Resources
from pipelines.training.config import ComputeConfig

CONNECT_TIMEOUT_S = 3.0
PROBE_TIMEOUT_S = 50.0
PROBE = "pipelines.doctor.nodes"
PROBE_RETRIES = "3"
"""Ray asks a head that refuses it 20 times by default, a second apart."""


def check_cluster(address: str, compute: ComputeConfig, layout: Layout) -> list[Finding]:
    """Connect to a cluster, and probe every node.

    Args:
        address: of the cluster.
        compute: what a run would request.
        layout: of the work tree that all nodes must share.
    """
    answer = check_address(address)
    if answer.level == "fault":
        return [answer]
    try:
        resources, found = probe_cluster(address, layout.root)
    except ConfigError as error:
        remedy = (
            "export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=/a/file with the head's token, if it has one; "
            "use the head's versions of Ray and Python"
        )
        return [answer, Finding.fault("cluster", str(error), remedy)]
    return [answer, check_capacity(resources, compute), *found]


def check_address(address: str) -> Finding:
    """Check that something listens at a cluster's address."""
    place = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        host, port = place.hostname, place.port
    except ValueError:
        host = port = None
    if host is None or port is None:
        if address == "auto":
            return Finding.ok("cluster", "Ray looks for a cluster on this machine")
        remedy = "name the head as HOST:PORT, such as 10.0.0.1:6379"
        return Finding.fault("cluster", f"invalid address {address!r}", remedy)
    try:
        socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
    except OSError as error:
        remedy = "start the head there, open its port, or correct train.compute.address or RAY_ADDRESS"
        return Finding.fault("cluster", f"no answer at {address}: {error.strerror or error}", remedy)
    return Finding.ok("cluster", f"{address} accepts connections")


def check_capacity(nodes: Sequence[Resources], compute: ComputeConfig) -> Finding:
    """Compare the workers that fit onto the nodes with those requested; Ray waits for them silently."""
    room = Capacity.of(nodes, compute)
    remedy = "lower train.compute.workers or threads, or join a larger cluster"
    if not room.can_start:
        return Finding.fault("cluster", str(room), remedy)
    return Finding.ok("cluster", str(room)) if room.is_full else Finding.warning("cluster", str(room), remedy)


def probe_cluster(address: str, root: Path) -> tuple[list[Resources], list[Finding]]:
    """Probe every node from a process of its own, which can be ended if the connection hangs.

    Returns:
        Resources of each node when nothing runs, and findings about each.

    Raises:
        ConfigError: the cluster refuses this client, or does not accept it in time.
    """
    # -P: the current folder may have a module or folder of the same name.
    command = [sys.executable, "-P", "-m", PROBE, address, str(root)]
    environment = {"RAY_NUM_REDIS_GET_RETRIES": PROBE_RETRIES, **os.environ}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        message = f"no connection to the cluster at {address} within {PROBE_TIMEOUT_S:g} s"
        raise ConfigError(message) from None
    if done.returncode:
        raise ConfigError(_find_reason(done.stderr))
    report: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report["resources"], [Finding(**finding) for finding in report["findings"]]


def _find_reason(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    # Ray's exception names the address alone; why the head refused is in its log.
    refused = any("InvalidAuthToken" in line for line in lines)
    return f"{lines[-1]}: the head expects another token" if refused else lines[-1]
