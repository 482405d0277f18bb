"""Endpoint options: section ``serve`` of ``params.yaml``."""

import socket
from typing import Literal

from pydantic import Field, model_validator

from pipelines.core.config import Section
from pipelines.core.errors import ConfigError

PROXY_GRACE_S = 5.0


class ServeConfig(Section):
    """Address, resources and limits of the endpoint."""

    machine = (
        "host",
        "allowed_hosts",
        "allowed_origins",
        "token_file",
        "no_auth",
        "port",
        "replicas",
        "max_replicas",
        "threads",
        "num_gpus",
        "concurrency",
        "max_queued_requests",
        "request_timeout_s",
        "timeout_per_megapixel_s",
        "max_body_bytes",
        "max_uploads",
        "max_pixels",
        "max_kept_bytes",
        "access_log",
    )

    host: str = "127.0.0.1"
    """Interface to listen on. Outside the loopback a token is asked for, or ``no_auth``."""
    allowed_hosts: tuple[str, ...] = ()
    """Names that the endpoint answers to, beside the loopback's and ``host``: those of a proxy."""
    allowed_origins: tuple[str, ...] = ()
    """Sites whose pages may send requests beside its own page, such as ``https://example.org``."""
    token_file: str | None = None
    """File with the token that requests must carry; $TUNABLE_SERVE_TOKEN is another way."""
    no_auth: bool = False
    """Let others in without a token, where they can reach ``host``."""
    port: int = Field(default=8000, ge=0, le=65535)
    """0 selects a free port."""
    address: str | None = None
    """Ray cluster to deploy to, in the form of RAY_ADDRESS; None starts a private cluster for the command."""
    replicas: int = Field(default=1, ge=1)
    """Number of processes, each with all served models; on a named cluster those of each model."""
    max_replicas: int | None = Field(default=None, ge=1)
    """Number of processes that Ray may grow to, from ``replicas``, when each has more than ``concurrency``
    requests; None for no growth."""
    threads: int = Field(default=2, ge=1)
    """CPU threads for inference, and CPUs that Ray reserves, per replica."""
    num_gpus: float = Field(default=0.0, ge=0)
    """GPUs that Ray reserves per replica; above 0 the networks run on them."""
    engine: Literal["auto", "onnx", "torch"] = "auto"
    """Inference engine; ``auto`` is ONNX Runtime on the CPU where it is installed, otherwise torch."""
    concurrency: int = Field(default=2, ge=1)
    """Pictures a replica processes at once; as many more of one tile, which never wait behind large ones."""
    max_queued_requests: int = Field(default=16, ge=0)
    """Large pictures, and small ones, that may wait in a replica; beyond it a picture gets 429."""
    request_timeout_s: float = Field(default=120.0, gt=0)
    """Time for a request to arrive, and for the picture behind that."""
    timeout_per_megapixel_s: float = Field(default=10.0, ge=0)
    """What the time for a picture grows by."""
    max_body_bytes: int = Field(default=128 * 2**20, ge=1)
    """Largest request body."""
    max_uploads: int = Field(default=32, ge=1)
    """Bodies that arrive at once; beyond it the slowest makes room for a new one."""
    max_pixels: int = Field(default=64_000_000, ge=1)
    """Largest picture, checked in its header before decoding. Models with a larger output, or that cannot
    process tiles, accept fewer pixels."""
    max_kept_bytes: int = Field(default=512 * 2**20, ge=0)
    """Memory for decoded pictures that clients sent once, to restore them at many settings."""
    access_log: Literal["text", "json", "none"] = "text"
    """The line of each request on standard output."""

    @model_validator(mode="after")
    def _check_replicas(self) -> "ServeConfig":
        if self.max_replicas is not None and self.max_replicas < self.replicas:
            raise ValueError(f"max_replicas {self.max_replicas} is below replicas {self.replicas}; raise it")
        return self

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def longest_request_s(self) -> float:
        """How long Ray Serve waits for a request: longer than the app, whose timeout answers in JSON."""
        return self.request_timeout_s + self.time_for(self.max_pixels) + PROXY_GRACE_S

    def with_free_port(self) -> "ServeConfig":
        """The options with a port that can be listened on: the one that is set, or a free one for 0.

        Raises:
            ConfigError: it cannot be listened on.
        """
        try:
            family, *_, target = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(target)
                return self.model_copy(update={"port": int(probe.getsockname()[1])})
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {self.host}:{self.port}: {error.strerror}; choose another --host or --port"
            ) from error

    def time_for(self, pixels: int) -> float:
        """Seconds from the arrival of a picture to its answer."""
        return self.request_timeout_s + self.timeout_per_megapixel_s * pixels / 1e6
