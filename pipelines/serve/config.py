"""Endpoint options: section ``serve`` of ``params.yaml``."""

from typing import Literal

from pydantic import Field

from pipelines.core.config import Section


class ServeConfig(Section):
    """Address, resources and limits of the endpoint."""

    machine = (
        "host",
        "port",
        "replicas",
        "threads",
        "num_gpus",
        "concurrency",
        "max_queued_requests",
        "request_timeout_s",
        "max_body_bytes",
        "max_pixels",
    )

    host: str = "127.0.0.1"
    """Interface to listen on. There is no authentication: others can use an endpoint outside the loopback."""
    port: int = Field(default=8000, ge=0, le=65535)
    """0 selects a free port."""
    address: str | None = None
    """Ray cluster to deploy to, in the form of RAY_ADDRESS; None starts a private cluster for the command."""
    replicas: int = Field(default=1, ge=1)
    """Number of processes, each with all served models."""
    threads: int = Field(default=2, ge=1)
    """CPU threads for inference, and CPUs that Ray reserves, per replica."""
    num_gpus: float = Field(default=0.0, ge=0)
    """GPUs that Ray reserves per replica; above 0 the networks run on them."""
    engine: Literal["auto", "onnx", "torch"] = "auto"
    """Inference engine; ``auto`` is ONNX Runtime on the CPU where it is installed, otherwise torch."""
    concurrency: int = Field(default=2, ge=1)
    """Pictures a replica processes at once; two, so that a large one does not block small ones."""
    max_queued_requests: int = Field(default=16, ge=0)
    """Queue length per replica; beyond it a picture gets 429."""
    request_timeout_s: float = Field(default=120.0, gt=0)
    """Time from the start of a request to its response."""
    max_body_bytes: int = Field(default=32 * 2**20, ge=1)
    """Largest request body."""
    max_pixels: int = Field(default=24_000_000, ge=1)
    """Largest picture, checked in its header before decoding. Models with a larger output, or that cannot
    process tiles, accept fewer pixels."""
