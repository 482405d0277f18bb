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
from pipelines.serve.lifecycle import GRACE_S, Readiness

CLOSE_S = 2
"""How long connections may take to close behind that."""


@contextmanager
def serve_locally(entries: Mapping[str, Path], config: ServeConfig) -> Iterator[str]:
    """Serve models in a thread of this process while the block runs.

    At its end new pictures are refused, and running ones have :data:`GRACE_S` to finish.

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
    readiness = Readiness()
    app = create_app(load_models(entries, config), config, token, readiness)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=config.host,
            port=config.port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=CLOSE_S,
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
        # The server would close its socket at once: clients should learn why, and when to come back.
        readiness.stop()
        readiness.wait_until_idle(GRACE_S)
        server.should_exit = True
        thread.join()
