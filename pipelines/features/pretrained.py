"""ImageNet weights that torchvision publishes: read from a file, checked, never downloaded.

torch hub names such files after the first digits of their SHA-256, so an address is enough to check one.
"""

from pathlib import Path

import torch
from torch import Tensor

from pipelines.core.errors import DataError
from pipelines.core.records import sha256_file


def cached_file(url: str) -> Path:
    """Where torch hub keeps the file of an address once something has downloaded it."""
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]


def read_published(url: str, file: Path | None = None) -> dict[str, Tensor] | None:
    """The tensors of a published weight file, on the CPU.

    Args:
        url: where it is published, ``.../<name>-<first digits of its SHA-256>.pth``.
        file: the file; by default the one in torch hub's cache.

    Returns:
        Tensors by name, or None where no file is given and the cache has none.

    Raises:
        DataError: the file is missing or is not the published one.
    """
    found = file or cached_file(url)
    if file is None and not found.is_file():
        return None
    _check_digest(url, found)
    tensors: dict[str, Tensor] = torch.load(found, map_location="cpu", weights_only=True)
    return tensors


def _check_digest(url: str, file: Path) -> None:
    prefix = url.rsplit("-", 1)[1].removesuffix(".pth")
    got = sha256_file(file) if file.is_file() else "no such file"
    if not got.startswith(prefix):
        raise DataError(f"expected weights with SHA-256 {prefix}... in {file}, got {got}; download {url}")
