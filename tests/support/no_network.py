"""No connection at all, for tests of what claims to work offline."""

import socket
from typing import Any, NoReturn

import pytest


def go_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say that there is no network, and let every attempt at a connection fail the test."""
    monkeypatch.setenv("TUNABLE_OFFLINE", "1")
    forbid_connections(monkeypatch)


def forbid_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every attempt at a connection or to look up a name fail the test."""
    monkeypatch.setattr(socket.socket, "connect", _refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", _refuse)
    monkeypatch.setattr(socket, "getaddrinfo", _refuse)


def _refuse(*arguments: Any, **_: Any) -> NoReturn:
    pytest.fail(f"a connection offline: {arguments[-1]}")
