"""A Ray cluster for the length of a block: one that is named, or a private one that ends with it."""

import gc
import logging
import os
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import ray

from pipelines.core.errors import ConfigError

T = TypeVar("T")


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

    A process that is connected stays so: a trial of a search, whose workers belong to the search's cluster.

    Args:
        address: of a cluster; ``RAY_ADDRESS`` otherwise; with neither a private one starts.
        num_cpus: of a private cluster.
        num_gpus: of a private cluster; those of the machine by default.
        dashboard: of a private cluster. Ray Train asks it whether the driver of a training lives; without
            one, the CPUs of a training whose driver was killed stay taken as long as the cluster lives.
        workers_speak: whether what the cluster's processes write appears on this process's streams.

    Yields:
        Whether the cluster is private.

    Raises:
        ConfigError: nothing answers at the address.
    """
    if ray.is_initialized():
        yield False
        return
    address = address or os.environ.get("RAY_ADDRESS") or None
    private = address in (None, "local")
    if private:
        # Without a token at hand Ray leaves one in ~/.ray, readable by everyone; and it reports usage.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    own: dict[str, Any] = {"num_cpus": num_cpus, "num_gpus": num_gpus, "include_dashboard": dashboard}
    # "local" and never "auto": that joins whatever cluster, even a dead one, this machine knew last.
    try:
        with _own_sigterm():
            ray.init(
                address=address or "local",
                log_to_driver=workers_speak,
                logging_level=logging.ERROR,
                **(own if private else {}),
            )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(f"cannot reach a Ray cluster at {address or 'local'}: {error}") from error
    try:
        yield private
    finally:
        with _nothing_collected():
            ray.shutdown()


def watched(work: Callable[[], T], look: Callable[[], None], every_s: float) -> T:
    """Do work of Ray's in a thread, and look now and then meanwhile.

    In the main thread Ray would take Ctrl-C for itself, and end what runs where it is.

    Args:
        work: to its end.
        look: not to raise: the work would go on, and Ray's end under it may abort the process.
        every_s: seconds between looks.

    Returns:
        What the work does.

    Raises:
        BaseException: whatever the work raises.
    """
    faults: list[BaseException] = []
    results: list[T] = []

    def body() -> None:
        try:
            results.append(work())
        except BaseException as error:  # handed to the thread that waits
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


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Collect garbage now and not before the end of the block, in no thread.

    Ray ends the process, with no word on any stream, if a reference of its own is collected between the end
    of its core and the end of ``ray.shutdown``; and any thread that makes objects may be the one to collect.
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
def _own_sigterm() -> Iterator[None]:
    """Keep a handler of SIGTERM that is ours: Ray puts its own there, which ends the process at once."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if callable(before) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)
