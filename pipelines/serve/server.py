"""Deploy the app with Ray Serve; the only module that imports ``ray.serve``."""

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fastapi import FastAPI
from ray import serve
from ray.serve._private.logging_utils import get_serve_logs_dir
from ray.serve.config import BackpressureConfig, HTTPOptions
from ray.serve.schema import LoggingConfig

from pipelines.core.errors import PipelineError
from pipelines.core.ray_cluster import ray_cluster
from pipelines.serve.access import read_token
from pipelines.serve.app import create_app
from pipelines.serve.config import ServeConfig
from pipelines.serve.inference import load_models
from pipelines.serve.queue import LANES

APPLICATION = "tunable"
_QUIET = LoggingConfig(log_level="WARNING")
HEADROOM = 64
"""Concurrent requests per replica beyond pictures: health checks, the page, rejections."""
RETRY_AFTER_S = 5
"""Of requests beyond that: Ray does not know what they wait for."""
GRACE_S = 5.0
"""How much longer than the app, whose timeout answers in JSON, Ray waits for a request."""


class Endpoint:
    """A replica: one process with every served model."""

    def __init__(self, entries: Mapping[str, Path], config: ServeConfig, token: str) -> None:
        self._models = load_models(entries, config)
        self._config, self._token = config, token

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_app(self._models, self._config, self._token)


@contextmanager
def serve_on_ray(entries: Mapping[str, Path], config: ServeConfig) -> Iterator[str]:
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
    token = read_token(config)
    config = config.with_free_port()
    gpus = math.ceil(config.replicas * config.num_gpus)
    cpus = config.replicas * config.threads
    with ray_cluster(config.address, num_cpus=cpus, num_gpus=gpus, workers_speak=True) as private:
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        serve.start(proxy_location="HeadOnly", http_options=_make_http_options(config), logging_config=_QUIET)
        try:
            _deploy_models(entries, config, token)
            yield config.url
        finally:
            # Both let running requests finish. On a shared cluster, other applications keep running; on a
            # private one Serve must stop before Ray, or its threads miss the cluster and exit the process.
            if private:
                serve.shutdown()  # type: ignore[no-untyped-call]
            else:
                serve.delete(APPLICATION)


def log_folder() -> Path:
    """Ray Serve's log folder on each node, while :func:`serve_on_ray` runs."""
    return Path(get_serve_logs_dir())  # Ray has no public name for it


def _deploy_models(entries: Mapping[str, Path], config: ServeConfig, token: str) -> None:
    pictures = LANES * (config.concurrency + config.max_queued_requests)
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
            endpoint.bind(entries, config, token),
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
    timeout_s = config.request_timeout_s + config.time_for(config.max_pixels) + GRACE_S
    return HTTPOptions(host=config.host, port=config.port, request_timeout_s=timeout_s)
