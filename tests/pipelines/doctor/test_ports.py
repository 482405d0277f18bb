import socket
from collections.abc import Iterator

import pytest

from pipelines.doctor.ports import answers, cluster_address, endpoint
from pipelines.serve.config import ServeConfig

pytestmark = pytest.mark.server


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of the loopback that something listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_free_port(free_port: int) -> None:
    assert endpoint(ServeConfig(port=free_port), needed=True)[0].level == "ok"
    assert endpoint(ServeConfig(port=0), needed=True)[0].level == "ok"


@pytest.mark.parametrize(("needed", "level"), [(True, "fault"), (False, "warning")])
def test_a_taken_one(taken: int, needed: bool, level: str) -> None:
    [found] = endpoint(ServeConfig(port=taken), needed=needed)
    assert found.level == level
    assert f"serve.port {taken} on 127.0.0.1: Address already in use" in found.message


def test_a_host_that_is_not_this_machine(free_port: int) -> None:
    assert endpoint(ServeConfig(host="192.0.2.77", port=free_port), needed=True)[0].level == "fault"
    assert endpoint(ServeConfig(host="no.such.host.invalid", port=free_port), needed=True)[0].level == "fault"


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_a_cluster_that_answers_and_one_that_does_not(taken: int, free_port: int, form: str) -> None:
    assert answers(form.format(taken))[0].level == "ok"
    [found] = answers(form.format(free_port))
    assert found.level == "fault"
    assert "Connection refused" in found.message


@pytest.mark.parametrize("address", ["10.0.0.1", "10.0.0.1:many", "10.0.0.1:99999", ""])
def test_what_is_no_address(address: str) -> None:
    [found] = answers(address)
    assert found.level == "fault"
    assert "HOST:PORT" in found.remedy


def test_ray_finds_the_cluster_of_this_machine_itself() -> None:
    assert answers("auto")[0].level == "ok"


def test_which_cluster_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster_address(None) is None
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.2:6379")
    assert cluster_address(None) == "10.0.0.2:6379"
    assert cluster_address("10.0.0.1:6379") == "10.0.0.1:6379"
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert cluster_address(None) is None
