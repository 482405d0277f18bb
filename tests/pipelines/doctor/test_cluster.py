"""Addresses and capacity; and a real cluster of two nodes on this machine, which expects a token."""

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
from pipelines.doctor import cluster
from pipelines.doctor.cluster import check_address, check_capacity, check_cluster
from pipelines.training.config import ComputeConfig
from waiting import UNREACHED_S

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

PATIENT_PROBE = f"""
import sys
from pipelines.doctor import nodes

nodes.NODES_TIMEOUT_S = nodes.VISIBLE_WITHIN_S = {UNREACHED_S}
nodes.main(*sys.argv[1:])
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
def _patient_probe(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Probe without limits, in the process that does it as well."""
    # With it a client would wait for a head that refuses it.
    monkeypatch.delenv("RAY_gcs_server_port_wait_time_s", raising=False)
    folder = tmp_path_factory.mktemp("patient")
    (folder / "patient_probe.py").write_text(PATIENT_PROBE)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(cluster, "PROBE", "patient_probe")


@pytest.mark.cluster
def test_every_node_sees_the_work_tree_and_nothing_stays_in_it(
    address: str, token: None, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_NUM_REDIS_GET_RETRIES", str(UNREACHED_S))
    found = check_cluster(address, COMPUTE, layout)
    assert [(finding.check, finding.level) for finding in found] == [
        ("cluster", "ok"),  # the address
        ("cluster", "ok"),  # capacity
        ("storage", "ok"),
        ("cluster", "ok"),  # the same software
        ("storage", "ok"),
        ("cluster", "ok"),
    ]
    assert "2 nodes with 2 CPUs" in found[1].message
    assert [path.name for path in layout.root.iterdir()] == ["params.yaml"]


@pytest.mark.cluster
def test_a_wrong_token_is_a_fault(
    address: str, token: None, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    found = check_cluster(address, COMPUTE, layout)
    assert found[-1].level == "fault"
    assert "another token" in found[-1].message
    assert "RAY_AUTH_MODE=token" in found[-1].remedy


@pytest.mark.cluster
def test_a_connection_that_hangs_is_ended(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PROBE_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        found = check_cluster(address, COMPUTE, layout)
    assert f"{address} within 0.3 s" in found[-1].message


@pytest.mark.server
def test_an_address_without_answer_is_not_probed(layout: Layout, free_port: int) -> None:
    [found] = check_cluster(f"127.0.0.1:{free_port}", COMPUTE, layout)
    assert found.level == "fault"


@pytest.mark.parametrize(
    ("compute", "nodes", "level", "fit"),
    [
        ({"workers": 2, "threads": 2}, [{"CPU": 4.0}], "ok", 2),
        ({"workers": 2, "threads": 2}, [{"CPU": 3.0}, {"CPU": 1.0}], "fault", 1),  # 4 CPUs, and not together
        ({"workers": (1, 3), "threads": 2}, [{"CPU": 4.0}], "warning", 2),
        ({"workers": (3, 4), "threads": 2}, [{"CPU": 4.0}], "fault", 2),
        ({"workers": 2, "threads": 1, "use_gpu": True}, [{"CPU": 8.0, "GPU": 1.0}], "fault", 1),
        ({"workers": 2, "threads": 1, "use_gpu": True}, [{"CPU": 8.0, "GPU": 2.0}], "ok", 2),
        ({"workers": 1}, [{}], "fault", 0),
    ],
)
def test_a_worker_needs_its_place_on_one_node(
    compute: dict[str, object], nodes: list[dict[str, float]], level: str, fit: int
) -> None:
    found = check_capacity(nodes, parse_section(compute, "train.compute", ComputeConfig))
    assert found.level == level
    assert found.message.endswith(f" {fit}")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of the loopback that something listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.server
@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_a_cluster_that_answers_and_one_that_does_not(taken: int, free_port: int, form: str) -> None:
    assert check_address(form.format(taken)).level == "ok"
    found = check_address(form.format(free_port))
    assert found.level == "fault"
    assert "Connection refused" in found.message


@pytest.mark.parametrize("address", ["10.0.0.1", "10.0.0.1:many", "10.0.0.1:99999", ""])
def test_what_is_no_address(address: str) -> None:
    found = check_address(address)
    assert found.level == "fault"
    assert "HOST:PORT" in found.remedy


def test_ray_finds_the_cluster_of_this_machine_itself() -> None:
    assert check_address("auto").level == "ok"
