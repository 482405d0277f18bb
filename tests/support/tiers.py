"""Tiers of tests: what a test may start depends on its markers, so that the inner loop stays quick.

An audit hook sees every port that is listened on and every process that is started from this one, and refuses
what the running test is not marked for. ``slow`` alone is a matter of judgement: more than a second.

Ray gives up what takes long on a busy machine, so its limits are set out of reach. It leaves sockets and
files to the garbage collector, which may come for them in any later test and would fail that one: tests
marked ``cluster`` may leave such things, and they are collected right behind them.
"""

import gc
import os
import sys
import warnings
from collections.abc import Generator, Sequence

import pytest

from waiting import UNREACHED_S

RAY_PROGRAMS = {"gcs_server", "raylet"}

LONG_S = str(UNREACHED_S)
PATIENT_RAY = {
    "RAY_agent_register_timeout_ms": f"{UNREACHED_S}000",
    "RAY_gcs_rpc_server_connect_timeout_s": LONG_S,
    "RAY_gcs_server_port_wait_time_s": LONG_S,
    "RAY_gcs_server_request_timeout_seconds": LONG_S,
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_py_gcs_connect_timeout_s": LONG_S,
    "RAY_worker_register_timeout_seconds": LONG_S,
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": LONG_S,
}
"""Ray gives nothing up because the machine is busy, nor because its memory is full."""

_running: list[pytest.Item] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Remember which test runs; collect what Ray left behind."""
    _running.append(item)
    try:
        return (yield)
    finally:
        _running.pop()
        if item.get_closest_marker("cluster"):
            with warnings.catch_warnings(action="ignore", category=ResourceWarning):
                gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests with Ray leave open what it leaves open."""
    for item in items:
        if item.get_closest_marker("cluster"):
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


def pytest_configure() -> None:
    """Watch as long as the process lives, and make Ray patient, before it is imported."""
    sys.addaudithook(_check_event)
    os.environ.update(PATIENT_RAY)


def _check_event(event: str, arguments: tuple[object, ...]) -> None:
    if not _running:
        return
    if event == "socket.bind":
        _require_marker("server", "listens on a port", "cluster")
    elif event == "subprocess.Popen":
        programs = {os.path.basename(str(word)) for word in _words(arguments[1])[:1]}
        if programs & RAY_PROGRAMS:
            _require_marker("cluster", "starts Ray")
        elif os.path.basename(sys.executable) in programs:
            _require_marker("server", "starts a Python process", "cluster", "slow")


def _words(command: object) -> Sequence[object]:
    return [command] if isinstance(command, (str, bytes, os.PathLike)) else list(command)  # type: ignore[call-overload]


def _require_marker(marker: str, action: str, *others: str) -> None:
    item = _running[-1]
    if not any(item.get_closest_marker(name) for name in (marker, *others)):
        raise RuntimeError(f"{item.nodeid} {action}: mark it with pytest.mark.{marker}")
