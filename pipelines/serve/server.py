"""Deploy the app with Ray Serve; the only module that imports ``ray.serve``."""

import asyncio
import io
import logging
import math
import os
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from time import monotonic
from typing import Any

import ray
from fastapi import FastAPI
from PIL import Image
from ray import serve
from ray.serve._private.logging_utils import get_serve_logs_dir
from ray.serve.config import BackpressureConfig, HTTPOptions, RequestRouterConfig
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException
from ray.serve.schema import LoggingConfig

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError, PipelineError
from pipelines.core.ray_cluster import find_address, ray_cluster
from pipelines.serve.access import read_token
from pipelines.serve.app import create_app
from pipelines.serve.applications import MIDDLEWARES, AtPrefix, find_prefix, name_application
from pipelines.serve.config import ServeConfig
from pipelines.serve.inference import load_models
from pipelines.serve.lifecycle import GRACE_S
from pipelines.serve.proxy import CALLBACK
from pipelines.serve.queue import LANES

APPLICATION = "tunable"
"""The one application of a private cluster."""
PRIVATE_MIDDLEWARES = "pipelines.serve.proxy.list_private_middlewares"
_QUIET = LoggingConfig(log_level="WARNING")
HEADROOM = 64
"""Concurrent requests per replica beyond pictures: health checks, the page, rejections."""
RETRY_AFTER_S = 5
"""Of requests beyond that: Ray does not know what they wait for."""
DRAIN_POLL_S = 0.5
"""How often a replica that ends looks whether its requests are done."""
LOOK_EVERY_S = 2
"""How often Ray looks after a replica: one that died is replaced then, and not when a request meets it."""
CHECK_EVERY_S = 30
"""How often that is with a picture."""
CHECK_TIMEOUT_S = 300
"""Of a check, which waits for the processor as pictures do."""
ANSWER_S = 10
"""How long the HTTP proxy of a cluster may take to answer."""
BY_SESSION = "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"
"""Requests of one ``X-Session-Id`` go to one replica, others to any."""
EVERYWHERE = ("0.0.0.0", "::")


class Endpoint:
    """A replica: one process with every model of its application.

    Args:
        entries: each model's name and the folder of its entry.
        config: limits and resources.
        token: that requests must carry; empty for none.
        prefix: of the application's route, if that is not the root.
    """

    def __init__(
        self, entries: Mapping[str, Path], config: ServeConfig, token: str, prefix: str = ""
    ) -> None:
        self._models = load_models(entries, config)
        self._config, self._token, self._prefix = config, token, prefix
        self._checked = -math.inf

    def __serve_build_asgi_app__(self) -> FastAPI:
        app = create_app(self._models, self._config, self._token)
        if self._prefix:
            app.add_middleware(AtPrefix, prefix=self._prefix)
        return app

    async def check_health(self) -> None:
        """Restore a tiny picture with each model; Ray asks for it before the first request and at intervals.

        A replica whose models raise is not put into service, or is replaced.
        """
        if monotonic() - self._checked < CHECK_EVERY_S:
            return
        for model in self._models.values():
            await asyncio.to_thread(model, Image.new("RGB", (64, 64)))
        self._checked = monotonic()  # not behind a failure: Ray replaces what fails three times in a row


@contextmanager
def serve_on_ray(entries: Mapping[str, Path], config: ServeConfig, *, replace: bool = False) -> Iterator[str]:
    """Serve models while the block runs: on a private cluster at the root, on a named one each at its prefix.

    At its end new requests are refused, and running ones have :data:`GRACE_S` to finish.

    Args:
        entries: each model's name and the folder of its entry.
        config: address, limits and resources.
        replace: whether models that a named cluster serves already are replaced, once their successors work.

    Yields:
        The URL that answers.

    Raises:
        ConfigError: cannot listen on the address, there is no cluster, or it serves such a model already.
        PipelineError: the replicas did not start.
    """
    if find_address(config.address) is None:
        read_token(config)  # a mistake is told before Ray starts, as is a port that is taken
        config = config.with_free_port()
        os.environ[CALLBACK] = PRIVATE_MIDDLEWARES  # for the processes of the cluster
    replicas = config.max_replicas or config.replicas
    gpus = math.ceil(replicas * config.num_gpus)
    cpus = replicas * config.threads
    with (
        ExitStack() as behind_ray,
        ray_cluster(config.address, num_cpus=cpus, num_gpus=gpus, workers_speak=True) as private,
    ):
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        starts = private or _get_global_client(raise_if_no_controller_running=False) is None
        if starts:
            _start_serve(config, private)
        try:
            with _serve_alone(entries, config) if private else _serve_beside(entries, config, replace) as url:
                yield url
        finally:
            # Before Ray, or threads of Serve miss the cluster and exit the process.
            if starts and (private or not serve.status().applications):
                # Ray then reports that the controller, which it was told to end, did not answer.
                behind_ray.enter_context(redirect_stdout(io.StringIO()))
                serve.shutdown()  # type: ignore[no-untyped-call]


def build_application(args: dict[str, Any]) -> serve.Application:
    """The application of one model, as a file of ``tunable serve --write-config`` describes it.

    Args:
        args: ``model``, its name; ``entry``, the folder of its entry; ``options`` of section ``serve``.
    """
    config = parse_section(args.get("options", {}), "serve", ServeConfig, source="args.options")
    entries = {args["model"]: Path(args["entry"])}
    return _make_application(entries, config, read_token(config), find_prefix(args["model"]))


def log_folder() -> Path:
    """Ray Serve's log folder on each node, while :func:`serve_on_ray` runs."""
    return Path(get_serve_logs_dir())  # Ray has no public name for it


@contextmanager
def _serve_alone(entries: Mapping[str, Path], config: ServeConfig) -> Iterator[str]:
    """Serve on a private cluster: all models in each replica."""
    try:
        _deploy(_make_application(entries, config, read_token(config)), APPLICATION, "/")
        yield config.url
    finally:
        _delete([APPLICATION])  # lets its requests finish, which the end of Serve does not


@contextmanager
def _serve_beside(entries: Mapping[str, Path], config: ServeConfig, replace: bool) -> Iterator[str]:
    """Serve on a named cluster, beside what others serve there: an application for each model."""
    names = {model: name_application(model) for model in entries}
    taken = set(serve.status().applications).intersection(names.values())
    if taken and not replace:
        raise ConfigError(
            f"the cluster has the application {', '.join(sorted(taken))} already; with --replace yours takes "
            "its place once its replicas work"
        )
    ours = set(names.values()) - taken
    try:
        config, url = _follow_proxy(config)
        token = read_token(config)
        for model, folder in entries.items():
            prefix = find_prefix(model)
            _deploy(_make_application({model: folder}, config, token, prefix), names[model], prefix)
            ours.add(names[model])
        yield url
    finally:
        _delete(ours)


def _start_serve(config: ServeConfig, private: bool) -> None:
    if config.port == 0:
        config = config.with_free_port()
    timeout_s = config.longest_request_s
    environment = {"runtime_env": {"env_vars": {CALLBACK: MIDDLEWARES}}}  # which proxies inherit
    try:
        serve.start(
            proxy_location="HeadOnly",
            http_options=HTTPOptions(host=config.host, port=config.port, request_timeout_s=timeout_s),
            logging_config=_QUIET,
            controller_options=None if private else environment,
        )
    except (RuntimeError, TimeoutError) as error:
        raise ConfigError(
            f"Ray Serve did not start at {config.url}: {error}; choose another --host or --port, or see "
            f"{log_folder()}"
        ) from error


def _follow_proxy(config: ServeConfig) -> tuple[ServeConfig, str]:
    """The options with the address of the cluster's HTTP proxy, which may have run before, and its URL.

    Raises:
        ConfigError: it has none, or it does not answer this machine.
    """
    client = _get_global_client()
    assert client is not None  # it raises instead
    options = client.http_config  # Ray has no public name for it
    if options.host is None:
        raise ConfigError(
            "Ray Serve runs on this cluster without HTTP; end it there with serve shutdown, or start it with "
            "serve start --http-host"
        )
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    heads = [node["NodeManagerAddress"] for node in nodes if "node:__internal_head__" in node["Resources"]]
    reached = heads[0] if options.host in EVERYWHERE else options.host
    hosts = (*config.allowed_hosts, reached)
    config = config.model_copy(update={"host": options.host, "port": options.port, "allowed_hosts": hosts})
    url = config.model_copy(update={"host": reached}).url + options.root_path
    if not _answers(url):
        raise ConfigError(
            f"the cluster's HTTP proxy does not answer at {url} within {ANSWER_S} s: it listens on "
            f"{options.host} of the head; run this there, or have Serve started with another --host"
        )
    return config, url


def _answers(url: str) -> bool:
    """Whether an HTTP proxy of Ray's is at a URL; it may say that it has no applications yet."""
    try:
        urllib.request.urlopen(f"{url}/-/healthz", timeout=ANSWER_S).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _make_application(
    entries: Mapping[str, Path], config: ServeConfig, token: str, prefix: str = ""
) -> serve.Application:
    pictures = LANES * (config.concurrency + config.max_queued_requests)
    scale: dict[str, Any] = {"num_replicas": config.replicas}
    if config.max_replicas is not None:
        limits = {"min_replicas": config.replicas, "max_replicas": config.max_replicas}
        scale = {"autoscaling_config": {**limits, "target_ongoing_requests": config.concurrency}}
    deployment = serve.deployment(
        name="Endpoint",  # of any version, so that one takes the place of another
        **scale,
        ray_actor_options={"num_cpus": config.threads, "num_gpus": config.num_gpus},
        max_ongoing_requests=pictures + HEADROOM,
        max_queued_requests=pictures + HEADROOM,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=RETRY_AFTER_S),
        # Ray would retry 20 times to load a model that cannot be loaded.
        max_constructor_retry_count=1,
        health_check_period_s=LOOK_EVERY_S,
        health_check_timeout_s=CHECK_TIMEOUT_S,
        graceful_shutdown_timeout_s=GRACE_S,
        graceful_shutdown_wait_loop_s=DRAIN_POLL_S,
        # A picture that was sent once is kept by one replica: its name is the session of requests with it.
        request_router_config=RequestRouterConfig(request_router_class=BY_SESSION),  # type: ignore[arg-type]
        # New replicas of an application that is replaced start beside the old ones, which stay if they fail.
        max_surge_percent=100,
    )
    return deployment(serve.ingress()(Endpoint)).bind(entries, config, token, prefix)


def _deploy(application: serve.Application, name: str, prefix: str) -> None:
    """Deploy an application, and wait until it answers.

    Raises:
        ConfigError: another application has the prefix.
        PipelineError: its replicas did not start.
    """
    try:
        serve.run(application, name=name, route_prefix=prefix, logging_config=_QUIET)
    except RayServeException as error:
        raise ConfigError(f"cannot deploy {name}: {error}; end the other application") from error
    except RuntimeError as error:
        cause = _find_replica_error(name) or error
        raise PipelineError(f"the replicas did not start: {cause}; the log is in {log_folder()}") from error


def _delete(names: Iterable[str]) -> None:
    """Delete applications, and wait for the requests that they work on."""
    there = [name for name in names if name in serve.status().applications]
    for name in there:
        serve.delete(name, _blocking=False)
    for name in there:
        serve.delete(name)


def _find_replica_error(name: str) -> str:
    """Last line of a replica's traceback, which the exception from ``serve.run`` lacks."""
    application = serve.status().applications.get(name)
    messages = [deployment.message for deployment in application.deployments.values()] if application else []
    return "; ".join(message.splitlines()[-1] for message in messages if message)
