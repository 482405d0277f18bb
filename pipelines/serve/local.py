"""Serve the app in this process, without Ray: for one machine, quick to start and small."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from pipelines.core.errors import ConfigError, PipelineError
from pipelines.serve.access import read_token
from pipelines.serve.app import create_app
from pipelines.serve.config import ServeConfig
from pipelines.serve.inference import load_models

GRACE_S = 30
"""How long a stop waits for answers that are being computed."""


@contextmanager
def serve_locally(entries: Mapping[str, Path], config: ServeConfig) -> Iterator[str]:
    """Serve models in a thread of this process while the block runs.

    Args:
        entries: each model's name and the folder of its entry.
        config: address, limits and resources of the one replica.

    Yields:
        The endpoint's URL, once it answers.

    Raises:
        ConfigError: cannot listen on the address, or the options ask for Ray.
        PipelineError: the server ended at its start.
    """
    if config.replicas > 1 or config.address:
        raise ConfigError(
            f"--local is one process without Ray, got replicas {config.replicas}, address {config.address}; "
            "leave out --local, or set replicas: 1 and no address"
        )
    config = config.with_free_port()
    token = read_token(config)
    app = create_app(load_models(entries, config), config, token)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=config.host,
            port=config.port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=GRACE_S,
        )
    )
    thread = threading.Thread(target=server.run, name="endpoint", daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise PipelineError(f"the server at {config.url} ended at its start; its reason stands above")
        time.sleep(0.01)
    try:
        yield config.url
    finally:
        server.should_exit = True
        thread.join()
