"""``python -m pipelines.doctor.visit ADDRESS ROOT``: ask every node of a cluster, in a process of its own.

A connection to Ray that hangs can then be ended, and what Ray's native code complains about is no noise
but a reason. Prints a :class:`Visit` as JSON.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.core.errors import ConfigError, is_expected
from pipelines.core.layout import Layout
from pipelines.doctor.finding import Finding

LIMIT_S = 50.0
RETRIES = "3"
"""Ray asks a head that refuses it 20 times by default, a second apart."""


@dataclass(frozen=True)
class Visit:
    """What the nodes of a cluster said.

    Attributes:
        resources: of each node when nothing runs.
        findings: about each.
    """

    resources: list[Mapping[str, float]]
    findings: list[Finding]


def visit(address: str, root: Path) -> Visit:
    """Ask every node.

    Args:
        address: of the cluster.
        root: of the work tree.

    Raises:
        ConfigError: the cluster lets nobody in, or not within 50 s.
    """
    command = [sys.executable, "-m", __name__, address, str(root)]
    environment = {"RAY_NUM_REDIS_GET_RETRIES": RETRIES, **os.environ}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"no connection to the cluster at {address} within {LIMIT_S:g} s") from None
    if done.returncode:
        raise ConfigError(_reason(done.stderr))
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return Visit(said["resources"], [Finding(**finding) for finding in said["findings"]])


def _reason(complaints: str) -> str:
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    # Ray's own exception names the address alone; why it was refused stands in its log.
    refused = [line for line in lines if "InvalidAuthToken" in line]
    return f"{lines[-1]}: it wants another token" if refused else lines[-1]


def main(address: str, root: str) -> None:
    """The process; a known error is one line on stderr."""
    import ray

    from pipelines.core.ray_cluster import ray_cluster
    from pipelines.doctor.shared_storage import shared_storage

    try:
        with ray_cluster(address, num_cpus=0):
            nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
            said = Visit([node["Resources"] for node in nodes], shared_storage(nodes, Layout(Path(root))))
    except Exception as error:
        if not is_expected(error):
            raise
        sys.exit(str(error))
    print(json.dumps(asdict(said)))


if __name__ == "__main__":
    main(*sys.argv[1:])
