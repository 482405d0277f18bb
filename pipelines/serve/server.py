"""Deploy the app with Ray Serve; the only module that imports ``ray.serve``."""

import logging
import math
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch
from fastapi import FastAPI
from ray import serve
from ray.serve._private.logging_utils import get_serve_logs_dir
from ray.serve.config import BackpressureConfig, HTTPOptions
from ray.serve.schema import LoggingConfig

import zoo
from pipelines.core.errors import ConfigError, PipelineError
from pipelines.core.ray_cluster import ray_cluster
from pipelines.serve.app import create_app
from pipelines.serve.config import ServeConfig
from pipelines.serve.inference import RETRY_AFTER_S

APPLICATION = "tunable"
_QUIET = LoggingConfig(log_level="WARNING")
HEADROOM = 64
"""Concurrent requests per replica beyond pictures: health checks, the page, rejections."""
GRACE_S = 5.0
"""How much longer than the app, whose timeout answers in JSON, Ray waits for a request."""


class Endpoint:
    """A replica: one process with every served model."""

    def __init__(self, entries: Mapping[str, Path], config: ServeConfig) -> None:
        torch.set_num_threads(config.threads)
        device = "cuda" if config.num_gpus else "cpu"
        self._models = {
            name: zoo.load(str(path), device=device, engine=config.engine) for name, path in entries.items()
        }
        self._config = config

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_app(self._models, self._config)


@contextmanager
def serve_entries(entries: Mapping[str, Path], config: ServeConfig) -> Iterator[str]:
    """Serve models while the block runs.

    Args:
        entries: each model's name and the folder of its entry.
        config: address, limits and resources.

    Yields:
        The endpoint's URL, once it answers.

    Raises:
        ConfigError: cannot listen on the address.
        PipelineError: the replicas did not start.
    """
    config = config.model_copy(update={"port": _resolve_port(config.host, config.port)})
    gpus = math.ceil(config.replicas * config.num_gpus)
    cpus = config.replicas * config.threads
    with ray_cluster(config.address, num_cpus=cpus, num_gpus=gpus, workers_speak=True) as private:
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        serve.start(proxy_location="HeadOnly", http_options=_make_http_options(config), logging_config=_QUIET)
        try:
            _deploy_models(entries, config)
            yield _format_url(config)
        finally:
            # Both let running requests finish. On a shared cluster, other applications keep running; on a
            # private one Serve must stop before Ray, or its threads miss the cluster and exit the process.
            if private:
                serve.shutdown()  # type: ignore[no-untyped-call]
            else:
                serve.delete(APPLICATION)


def log_folder() -> Path:
    """Ray Serve's log folder on each node, while :func:`serve_entries` runs."""
    return Path(get_serve_logs_dir())  # Ray has no public name for it


def wait_for_signal() -> None:
    """Return at the first SIGINT or SIGTERM; later ones are ignored, so as not to disturb the cleanup."""

    def stop(_: int, __: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    try:
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        while True:
            signal.pause()
    except KeyboardInterrupt:
        return


def _deploy_models(entries: Mapping[str, Path], config: ServeConfig) -> None:
    pictures = config.concurrency + config.max_queued_requests
    deployment = serve.deployment(
        num_replicas=config.replicas,
        ray_actor_options={"num_cpus": config.threads, "num_gpus": config.num_gpus},
        max_ongoing_requests=pictures + HEADROOM,
        max_queued_requests=pictures + HEADROOM,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=RETRY_AFTER_S),
        # Ray would retry 20 times to load a model that cannot be loaded.
        max_constructor_retry_count=1,
    )
    endpoint = deployment(serve.ingress()(Endpoint))
    try:
        serve.run(
            endpoint.bind(entries, config),
            name=APPLICATION,
            route_prefix="/",
            logging_config=_QUIET,
        )
    except RuntimeError as error:
        raise PipelineError(
            f"the replicas did not start: {_replica_error() or error}; the log is in {log_folder()}"
        ) from error


def _replica_error() -> str:
    """Last line of a replica's traceback, which the exception from ``serve.run`` lacks."""
    application = serve.status().applications.get(APPLICATION)
    messages = [deployment.message for deployment in application.deployments.values()] if application else []
    return "; ".join(message.splitlines()[-1] for message in messages if message)


def _make_http_options(config: ServeConfig) -> HTTPOptions:
    timeout_s = config.request_timeout_s + GRACE_S
    return HTTPOptions(host=config.host, port=config.port, request_timeout_s=timeout_s)


def _format_url(config: ServeConfig) -> str:
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"http://{host}:{config.port}"


def _resolve_port(host: str, port: int) -> int:
    try:
        family, *_, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
            return int(probe.getsockname()[1])
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another --host or --port"
        ) from error
