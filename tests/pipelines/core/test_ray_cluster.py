"""Which cluster is asked for; the real thing runs in the tests of training and of the endpoint."""

import gc
import os
import signal
import socket
import threading
import weakref
from typing import Any

import pytest
import ray
from ray._private import ray_constants

from pipelines.core import ray_cluster as module
from pipelines.core.errors import ConfigError
from pipelines.core.ray_cluster import ray_cluster
from pipelines.core.signals import terminable


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(ray, "init", lambda **options: calls.append(options))
    monkeypatch.setattr(ray, "shutdown", lambda: calls.append({"shutdown": True}))
    monkeypatch.setattr(module, "_check_address", lambda address: None)
    for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return calls


def test_a_private_cluster_by_default_and_it_ends(calls: list[dict[str, Any]]) -> None:
    with ray_cluster(None, num_cpus=3) as private:
        assert private
    assert calls[0]["address"] == "local"
    assert calls[0]["num_cpus"] == 3
    assert calls[0]["include_dashboard"] is False
    assert calls[0]["log_to_driver"] is False
    assert calls[1] == {"shutdown": True}


def test_who_is_connected_stays_so(calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    with ray_cluster("10.0.0.1:6379", num_cpus=3) as private:
        assert not private
    assert calls == []


def test_it_ends_after_an_error_too(calls: list[dict[str, Any]]) -> None:
    with pytest.raises(KeyError), ray_cluster(None, num_cpus=3):
        raise KeyError
    assert calls[1] == {"shutdown": True}


def garbage() -> weakref.ref[Any]:
    """Something that only a collection ends."""

    class Ring:
        def __init__(self) -> None:
            self.itself = self

    return weakref.ref(Ring())


@pytest.mark.parametrize("enabled", [True, False])
def test_nothing_is_collected_while_it_ends(
    calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, enabled: bool
) -> None:
    """Ray may end the process for it, but too rarely for a test of the real thing."""
    there = garbage()
    seen: list[tuple[bool, bool]] = []
    monkeypatch.setattr(ray, "shutdown", lambda: seen.append((gc.isenabled(), there() is None)))
    try:
        (gc.enable if enabled else gc.disable)()
        with ray_cluster(None, num_cpus=1):
            pass
        assert seen == [(False, True)]
        assert gc.isenabled() == enabled
    finally:
        gc.enable()


@pytest.mark.parametrize("configured", [True, False])
def test_a_named_cluster_is_joined_as_it_is(
    calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, configured: bool
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.2:6379" if configured else "10.0.0.1:6379")
    with ray_cluster("10.0.0.1:6379" if configured else None, num_cpus=3) as private:
        assert not private
    assert calls[0]["address"] == "10.0.0.1:6379"
    assert "num_cpus" not in calls[0]  # Ray refuses it of a cluster that runs


def test_a_handler_of_sigterm_stays(calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "init", lambda **_: signal.signal(signal.SIGTERM, signal.SIG_IGN))
    before = signal.getsignal(signal.SIGTERM)
    with terminable():
        ours = signal.getsignal(signal.SIGTERM)
        with ray_cluster(None, num_cpus=1):
            assert signal.getsignal(signal.SIGTERM) is ours
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("address", "spans_interfaces"), [(None, False), ("10.0.0.1:6379", True)])
def test_only_a_private_cluster_is_told_to_listen_on_the_loopback(
    calls: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    address: str | None,
    spans_interfaces: bool,
) -> None:
    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", True)
    seen: list[bool] = []
    monkeypatch.setattr(ray, "init", lambda **_: seen.append(ray_constants.ENABLE_RAY_CLUSTER))
    with ray_cluster(address, num_cpus=1):
        assert ray_constants.ENABLE_RAY_CLUSTER
    assert seen == [spans_interfaces]


@pytest.mark.parametrize("mode", ["disabled", "token", None])
def test_a_private_cluster_asks_for_a_token_whatever_the_mode(
    calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, mode: str | None
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", mode or "")
    with ray_cluster(None, num_cpus=1):
        assert "RAY_AUTH_MODE" not in os.environ  # Ray asks for a token where no mode is set
        assert len(os.environ["RAY_AUTH_TOKEN"]) == 64


@pytest.mark.server
@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\0\0\0\4\0"])
def test_a_server_that_is_not_rays_is_told_before_ray_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, answer: bytes | None
) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.3 if answer is None else None)
    calls: list[str] = []
    monkeypatch.setattr(ray, "init", lambda **options: calls.append(options["address"]))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reply() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(answer or b"")

        if answer is not None:
            threading.Thread(target=reply, daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        if answer is None or answer.startswith(b"HTTP"):
            with pytest.raises(ConfigError, match=address), ray_cluster(address, num_cpus=1):
                pass
        else:
            with ray_cluster(address, num_cpus=1):
                assert calls == [address]


@pytest.mark.server
def test_a_closed_port_is_told_at_once() -> None:
    with socket.socket() as bound:  # and does not listen
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"{address}.* start its head"):
            ray_cluster(address, num_cpus=1).__enter__()


@pytest.mark.parametrize("address", ["10.0.0.1:port", "10.0.0.1:99999"])
def test_an_address_that_names_no_port_is_told(address: str) -> None:
    with pytest.raises(ConfigError, match="HOST:PORT"), ray_cluster(address, num_cpus=1):
        pass


def test_nothing_at_the_address_is_told(calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("no answer")

    monkeypatch.setattr(ray, "init", refuse)
    told = r"cannot reach a Ray cluster at 10\.0\.0\.1:6379: no answer"
    with pytest.raises(ConfigError, match=told), ray_cluster("10.0.0.1:6379", num_cpus=3):
        pass
