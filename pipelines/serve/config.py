"""Options of the endpoint: section ``serve`` of ``params.yaml``."""

from typing import Literal

from pydantic import Field

from pipelines.core.config import Section


class ServeConfig(Section):
    """Where the endpoint listens, what it runs on, and what it refuses."""

    host: str = "127.0.0.1"
    """The interface to listen on; there is no authentication, so think before leaving the loopback."""
    port: int = Field(default=8000, ge=0, le=65535)
    """0 takes a free one."""
    address: str | None = None
    """A running Ray cluster to deploy to, as RAY_ADDRESS would say; without one a private cluster starts and
    ends with the command."""
    replicas: int = Field(default=1, ge=1)
    """Processes that hold all served models."""
    threads: int = Field(default=2, ge=1)
    """CPU threads of the networks, and CPUs that Ray reserves, per replica."""
    num_gpus: float = Field(default=0.0, ge=0)
    """GPUs that Ray reserves per replica; above 0 the networks run there."""
    engine: Literal["auto", "onnx", "torch"] = "auto"
    """What computes: by itself ONNX Runtime on the CPU where it is installed, otherwise torch."""
    concurrency: int = Field(default=2, ge=1)
    """Pictures a replica restores at once; two, so that a huge one does not stop the small ones."""
    max_queued_requests: int = Field(default=16, ge=0)
    """Pictures that may wait for a replica; the next one gets 429."""
    request_timeout_s: float = Field(default=120.0, gt=0)
    """From the first byte of a request to its answer."""
    max_body_bytes: int = Field(default=32 * 2**20, ge=1)
    """Of one request."""
    max_pixels: int = Field(default=24_000_000, ge=1)
    """Of one picture, read from its header before it is decoded; a model whose output is larger, or that
    cannot work in tiles, takes fewer."""
