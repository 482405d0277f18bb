"""Which cluster is asked for; the real thing runs in the tests of training and of the endpoint."""

import gc
import signal
import weakref
from typing import Any

import pytest
import ray

from pipelines.core.errors import ConfigError
from pipelines.core.ray_cluster import ray_cluster
from pipelines.core.signals import terminable


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(ray, "init", lambda **options: calls.append(options))
    monkeypatch.setattr(ray, "shutdown", lambda: calls.append({"shutdown": True}))
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


def test_nothing_at_the_address_is_told(calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("no answer")

    monkeypatch.setattr(ray, "init", refuse)
    told = r"cannot reach a Ray cluster at 10\.0\.0\.1:6379: no answer"
    with pytest.raises(ConfigError, match=told), ray_cluster("10.0.0.1:6379", num_cpus=3):
        pass
