"""A Ray cluster for the length of a block: one that is named, or a private one that ends with it."""

import gc
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import ray
from ray._private import ray_constants

from pipelines.core.errors import ConfigError

T = TypeVar("T")

ANSWER_S = 5.0
"""How long the head of a named cluster may take to connect, and to answer; Ray itself waits for minutes."""
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What a client of gRPC says first, with empty settings; servers answer with theirs."""


@contextmanager
def ray_cluster(
    address: str | None,
    *,
    num_cpus: int,
    num_gpus: int | None = None,
    dashboard: bool = False,
    workers_speak: bool = False,
) -> Iterator[bool]:
    """Connect to Ray, and leave nothing running that was not running before.

    A process that is already connected stays connected, such as a trial of a search. A private cluster
    listens on the loopback alone, and asks for a token.

    Args:
        address: of a cluster; ``RAY_ADDRESS`` otherwise; with neither a private one starts.
        num_cpus: of a private cluster.
        num_gpus: of a private cluster; those of the machine by default.
        dashboard: of a private cluster. Ray Train asks it whether the driver of a training lives; without
            one, the CPUs of a training whose driver was killed stay reserved as long as the cluster lives.
        workers_speak: whether output of the cluster's processes appears on this process's streams.

    Yields:
        Whether the cluster is private.

    Raises:
        ConfigError: there is no cluster at the address, or it refuses this process.
    """
    if ray.is_initialized():
        yield False
        return
    address = find_address(address)
    private = address is None
    if address is None:
        # Whoever reaches a cluster without tokens runs code in it: Ray asks for one where no mode is set.
        # Without one here it writes one to ~/.ray, readable by everyone; and it reports usage.
        os.environ.pop("RAY_AUTH_MODE", None)
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    else:
        _check_address(address)
    own: dict[str, Any] = {"num_cpus": num_cpus, "num_gpus": num_gpus, "include_dashboard": dashboard}
    # "local" and never "auto", which joins the last cluster that this machine knew, even a dead one.
    try:
        with _keep_sigterm_handler(), _on_loopback(private):
            ray.init(
                address=address or "local",
                log_to_driver=workers_speak,
                logging_level=logging.ERROR,
                **(own if private else {}),
            )
    except (ConnectionError, ValueError, RuntimeError) as error:
        remedy = "" if private else "; start one there, name another, or export RAY_AUTH_MODE and its token"
        raise ConfigError(f"cannot reach a Ray cluster at {address or 'local'}: {error}{remedy}") from error
    try:
        yield private
    finally:
        with _no_garbage_collection():
            ray.shutdown()


def find_address(address: str | None) -> str | None:
    """The address of the cluster that :func:`ray_cluster` joins; None if it starts a private one."""
    chosen = address or os.environ.get("RAY_ADDRESS") or "local"
    return None if chosen == "local" else chosen


def watched(work: Callable[[], T], look: Callable[[], None], every_s: float) -> T:
    """Run work of Ray's in a thread, and call ``look`` at intervals meanwhile.

    In the main thread Ray would handle Ctrl-C itself, and end the work where it is.

    Args:
        work: to run to its end.
        look: must not raise: the work would continue, and Ray's end under it may abort the process.
        every_s: seconds between calls.

    Returns:
        The result of the work.

    Raises:
        BaseException: any error of the work.
    """
    faults: list[BaseException] = []
    results: list[T] = []

    def body() -> None:
        try:
            results.append(work())
        except BaseException as error:  # raised in the thread that waits
            faults.append(error)

    thread = threading.Thread(target=body, name="ray-work", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(every_s)
        if thread.is_alive():
            look()
    if faults:
        raise faults[0]
    return results[0]


def _check_address(address: str) -> None:
    """Check that a server of Ray's is at a cluster's address, where it names a host and a port.

    Raises:
        ConfigError: nothing answers there, or something else.
    """
    place = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        host, port = place.hostname, place.port
    except ValueError as error:
        raise ConfigError(f"expected the address of a Ray cluster as HOST:PORT, got {address}") from error
    if host is None or port is None:  # "auto": Ray looks for a cluster on this machine
        return
    remedy = "start its head there, open its port, correct the address, or leave it out for a private cluster"
    try:
        with socket.create_connection((host, port), ANSWER_S) as connection:
            connection.sendall(GREETING)
            answer = connection.recv(9)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"cannot reach a Ray cluster at {address}: {reason}; {remedy}") from error
    if answer.startswith(b"HTTP/1"):
        raise ConfigError(f"expected the head of a Ray cluster at {address}, got a web server; {remedy}")


@contextmanager
def _on_loopback(private: bool) -> Iterator[None]:
    """Let a private cluster that starts in the block listen on the loopback, as it does on macOS and Windows.

    On Linux Ray takes the address of an interface even for ``_node_ip_address="127.0.0.1"``, and most of its
    servers then listen on all of them. This setting is read from the environment, but when Ray is imported.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = before and not private
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Collect garbage now, and then not before the end of the block, in any thread.

    Ray ends the process silently if one of its references is collected between the end of its core and that
    of ``ray.shutdown``; and any thread that allocates objects may collect.
    """
    enabled = gc.isenabled()
    gc.disable()
    gc.collect()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _keep_sigterm_handler() -> Iterator[None]:
    """Restore our handler of SIGTERM: Ray installs its own, which ends the process at once."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if callable(before) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)
