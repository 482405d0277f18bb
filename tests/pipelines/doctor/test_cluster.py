"""A real cluster of two nodes on this machine, which asks for a token."""

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from subprocess import PIPE

import pytest

from pipelines.core.config import parse_section
from pipelines.core.layout import Layout
from pipelines.doctor import visit
from pipelines.doctor.cluster import cluster
from pipelines.training.config import ComputeConfig
from waiting import UNREACHED_S

pytestmark = pytest.mark.cluster

TOKEN = secrets.token_hex(32)
COMPUTE = parse_section({"workers": 2, "threads": 1}, "train.compute", ComputeConfig)


# In a process of its own: Ray decides on tokens once for each. Nodes are waited for at the end alone: to
# wait for each, Cluster has a limit that cannot be set.
NODES = f"""
import sys
from ray.cluster_utils import Cluster

nodes = Cluster()
nodes.add_node(wait=False, num_cpus=1, include_dashboard=False)
nodes.add_node(wait=False, num_cpus=1)
nodes.wait_for_nodes({UNREACHED_S})
print(nodes.address, flush=True)
sys.stdin.read()
nodes.shutdown()
"""

PATIENT_VISIT = f"""
import sys
from pipelines.doctor import shared_storage, visit

shared_storage.NODES_TIMEOUT_S = shared_storage.VISIBLE_WITHIN_S = {UNREACHED_S}
visit.main(*sys.argv[1:])
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    environment = {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    command = [sys.executable, "-c", NODES]
    with subprocess.Popen(command, env=environment, stdin=PIPE, stdout=PIPE, text=True) as nodes:
        assert nodes.stdin is not None
        assert nodes.stdout is not None
        address = nodes.stdout.readline().strip()
        assert address
        yield address
        nodes.stdin.close()


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)


@pytest.fixture(autouse=True)
def _patient_visit(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Visit without limits, in the process that does it as well."""
    # With it a visitor would wait for a head that refuses it.
    monkeypatch.delenv("RAY_gcs_server_port_wait_time_s", raising=False)
    folder = tmp_path_factory.mktemp("patient")
    (folder / "patient_visit.py").write_text(PATIENT_VISIT)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(visit, "__name__", "patient_visit")


def test_every_node_sees_the_work_tree_and_nothing_stays_in_it(
    address: str, token: None, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_NUM_REDIS_GET_RETRIES", str(UNREACHED_S))
    found = cluster(address, COMPUTE, layout)
    assert [(finding.check, finding.level) for finding in found] == [
        ("ports", "ok"),
        ("cluster", "ok"),  # room for the workers
        ("storage", "ok"),
        ("cluster", "ok"),  # the same software
        ("storage", "ok"),
        ("cluster", "ok"),
    ]
    assert "2 nodes with 2 CPUs, 0 GPUs have room for 2" in found[1].message
    assert [path.name for path in layout.root.iterdir()] == ["params.yaml"]


def test_a_wrong_token_is_told(
    address: str, token: None, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    found = cluster(address, COMPUTE, layout)
    assert found[-1].level == "fault"
    assert "it wants another token" in found[-1].message
    assert "RAY_AUTH_MODE=token" in found[-1].remedy


def test_a_connection_that_hangs_is_ended(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visit, "LIMIT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        found = cluster(address, COMPUTE, layout)
    assert found[-1].message == f"no connection to the cluster at {address} within 0.3 s"


def test_where_nobody_listens_nothing_is_tried(layout: Layout, free_port: int) -> None:
    [found] = cluster(f"127.0.0.1:{free_port}", COMPUTE, layout)
    assert found.level == "fault"
