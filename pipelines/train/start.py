"""A checkpoint that a run starts from: the plain network's tensors, read from a file of the user."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from pipelines.errors import DataError
from pipelines.records import sha256_file
from tunable_models import TunableError, load_checkpoint

SUFFIXES = (".safetensors", ".pth", ".pt")
"""Files that are read; pickles hold tensors and plain containers only, or are refused."""


def start_sha256(name: str, root: Path) -> str:
    """Which file it is.

    Args:
        name: a path, absolute or relative to ``root``.
        root: the work tree.

    Raises:
        DataError: there is no such file.
    """
    return sha256_file(_file(name, root))


def load_start(plain: nn.Module, name: str, root: Path) -> nn.Module:
    """Put the checkpoint's tensors into the plain network, all of them or none.

    Args:
        plain: of the checkpoint's architecture; it is changed.
        name: a path, absolute or relative to ``root``.
        root: the work tree.

    Raises:
        DataError: there is no such file, it is no checkpoint, or its tensors are not the network's.
    """
    path = _file(name, root)
    try:
        return load_checkpoint(plain, _read(path))
    except (TunableError, AttributeError) as error:  # AttributeError: a value that is no tensor
        raise DataError(f"train.network.start {path} does not fit: {error}") from error


def _file(name: str, root: Path) -> Path:
    path = root / Path(name).expanduser()
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"train.network.start: expected a file of {', '.join(SUFFIXES)}, got {str(path)!r}")
    if not path.is_file():
        raise DataError(f"train.network.start: expected a checkpoint at {path}, found no such file")
    return path


def _read(path: Path) -> Mapping[str, object]:
    try:
        if path.suffix.lower() == ".safetensors":
            tensors: Mapping[str, object] = safetensors.torch.load_file(path)
            return tensors
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, EOFError) as error:
        raise _unreadable(path, error) from error
    except (pickle.UnpicklingError, SafetensorError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(found, Mapping):
        raise DataError(
            f"train.network.start {path}: expected tensors by name, got a {type(found).__name__}; save the "
            "network's state_dict()"
        )
    return found


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())
    return DataError(f"train.network.start {path} is no checkpoint of tensors alone: {reason}")
