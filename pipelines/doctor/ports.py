"""Ports: one that the endpoint wants is free, one of a cluster answers."""

import os
import socket
from urllib.parse import urlsplit

from pipelines.doctor.finding import About, Finding
from pipelines.serve.config import ServeConfig

ABOUT = About("ports")
TIMEOUT_S = 3.0


def endpoint(config: ServeConfig, *, needed: bool) -> list[Finding]:
    """Whether ``serve.port`` is free on ``serve.host``.

    Args:
        config: of the endpoint.
        needed: whether it is to be started now; otherwise the one that listens may be the endpoint.
    """
    if config.port == 0:
        return [ABOUT.ok("serve.port is 0: a free one is taken")]
    place = f"serve.port {config.port} on {config.host}"
    reason = _taken(config.host, config.port)
    if reason is None:
        return [ABOUT.ok(f"{place} is free")]
    tell = ABOUT.fault if needed else ABOUT.warning
    return [tell(f"{place}: {reason}", "end what listens there, or name another: tunable serve --port 0")]


def _taken(host: str, port: int) -> str | None:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            # As servers do: a port whose last connections are still fading is free.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(1)
    except OSError as error:
        return error.strerror or str(error)
    return None


def cluster_address(address: str | None) -> str | None:
    """Of the cluster that a run joins: the named one, else ``RAY_ADDRESS``; None for a private one."""
    chosen = address or os.environ.get("RAY_ADDRESS") or None
    return None if chosen == "local" else chosen


def answers(address: str) -> list[Finding]:
    """Whether something listens at a cluster's address; one finding, a fault if not."""
    place = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        host, port = place.hostname, place.port
    except ValueError:
        host = port = None
    if host is None or port is None:
        if address == "auto":  # Ray itself knows where
            return [ABOUT.ok("Ray looks for the cluster of this machine")]
        return [
            ABOUT.fault(f"{address!r} is no address", "name the head as HOST:PORT, such as 10.0.0.1:6379")
        ]
    try:
        socket.create_connection((host, port), TIMEOUT_S).close()
    except OSError as error:
        remedy = "start the head there, open its port, or correct train.compute.address or RAY_ADDRESS"
        return [ABOUT.fault(f"no cluster answers at {address}: {error.strerror or error}", remedy)]
    return [ABOUT.ok(f"something answers at {address}")]
