"""A real S3 server on this machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import s3fs
from botocore.config import Config
from moto.server import ThreadedMotoServer

from waiting import UNREACHED_S


@contextmanager
def serve_s3() -> Iterator[str]:
    """The address of a server without buckets."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@contextmanager
def make_bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Any]:
    """A client of that server with the empty bucket ``data``, to which this process's environment leads."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(folder / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        "TUNABLE_CACHE": str(folder / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("zoo.remote.fsspec_calls.PAUSES_S", (0.0,))
    # A server that is slow because the machine is busy is waited for.
    monkeypatch.setattr(s3fs.S3FileSystem, "connect_timeout", UNREACHED_S)
    monkeypatch.setattr(s3fs.S3FileSystem, "read_timeout", UNREACHED_S)
    monkeypatch.setattr("pipelines.data.cache.PATIENCE_S", UNREACHED_S)
    s3fs.S3FileSystem.clear_instance_cache()
    client = boto3.client("s3", config=Config(connect_timeout=UNREACHED_S, read_timeout=UNREACHED_S))
    client.create_bucket(Bucket="data")
    yield client
    for entry in client.list_objects_v2(Bucket="data").get("Contents", []):
        client.delete_object(Bucket="data", Key=entry["Key"])
    s3fs.S3FileSystem.clear_instance_cache()
