"""Numbers of an endpoint for Prometheus, at ``/metrics``."""

import os
import platform
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.01, 0.03, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
_REJECTED = (413, 429, 503)


class Metrics:
    """Counters of one process; each replica has its own, named by the label ``replica``."""

    def __init__(self) -> None:
        self._registry = own = CollectorRegistry()
        self._replica = f"{platform.node()}:{os.getpid()}"
        self._requests = Counter(
            "tunable_requests",
            "Requests by model and status.",
            ("replica", "model", "status"),
            registry=own,
        )
        self._seconds = Histogram(
            "tunable_request_seconds",
            "Time of answered requests for a picture, and of their parts.",
            ("replica", "model", "part"),
            buckets=_SECONDS,
            registry=own,
        )
        self._rejected = Counter(
            "tunable_rejected_requests",
            "Requests refused for lack of room.",
            ("replica", "status"),
            registry=own,
        )
        self._pictures = Gauge(
            "tunable_pictures", "Pictures in a lane.", ("replica", "lane", "state"), registry=own
        )
        self._kept = Gauge(
            "tunable_kept_picture_bytes", "Memory of pictures that are kept.", ("replica",), registry=own
        )
        self._lookups = Counter(
            "tunable_kept_picture_lookups",
            "Requests for a picture that was sent before.",
            ("replica", "result"),
            registry=own,
        )

    def observe(self, model: str, status: int, took_ms: float, parts_ms: Mapping[str, float]) -> None:
        """Count a request that is over.

        Args:
            model: empty where it was about none.
            status: 0 where the client left.
            took_ms: from its first byte to the last of its answer.
            parts_ms: of that, by part.
        """
        self._requests.labels(self._replica, model, str(status or "gone")).inc()
        if status in _REJECTED:
            self._rejected.labels(self._replica, str(status)).inc()
        if model and status == 200:
            for part, took in {"all": took_ms, **parts_ms}.items():
                self._seconds.labels(self._replica, model, part).observe(took / 1000)

    def count_lookup(self, found: bool) -> None:
        """Count a request for a picture that was sent before."""
        self._lookups.labels(self._replica, "found" if found else "gone").inc()

    def watch(self, name: str, state: str, count: Callable[[], float]) -> None:
        """Ask for the pictures of a lane when numbers are asked for."""
        self._pictures.labels(self._replica, name, state).set_function(count)

    def watch_kept(self, used_bytes: Callable[[], float]) -> None:
        """Ask for the memory of kept pictures when numbers are asked for."""
        self._kept.labels(self._replica).set_function(used_bytes)

    def render(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
