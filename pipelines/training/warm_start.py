"""Load the checkpoint that a run starts from: tensors of a plain or a tunable network."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError

from pipelines.core.errors import DataError
from pipelines.core.records import sha256_file
from tunable_models import NetworkSpec, TunableError, TunableNetwork, load_checkpoint

SUFFIXES = (".safetensors", ".pth", ".pt")
"""Files that are read; pickles hold tensors and plain containers only, or are refused."""

TUNABLE = "network."
"""How the names of a tunable network's tensors begin."""


def start_sha256(name: str, root: Path) -> str:
    """Which file it is.

    Args:
        name: a path, absolute or relative to ``root``.
        root: the work tree.

    Raises:
        DataError: there is no such file.
    """
    return sha256_file(_find_file(name, root))


def load_start(spec: NetworkSpec, name: str, root: Path) -> TunableNetwork:
    """The tunable network that begins as a checkpoint, all of whose tensors it takes.

    Args:
        spec: of the network to make.
        name: of a file with the plain network's tensors, or with those of a tunable network such as
            ``model.safetensors`` of a run or of an entry of the zoo; absolute or relative to ``root``.
        root: the work tree.

    Raises:
        DataError: there is no such file, it is no checkpoint, or its tensors are not the network's.
        ConversionError: the plain network cannot be made tunable.
    """
    path = _find_file(name, root)
    checkpoint = _read_checkpoint(path)
    tunable = any(str(key).startswith(TUNABLE) for key in checkpoint)
    module = TunableNetwork.from_spec(spec) if tunable else spec.build_plain()
    try:
        load_checkpoint(module, checkpoint)
    except (TunableError, AttributeError) as error:  # AttributeError: a value that is no tensor
        raise DataError(f"train.network.start {path} does not fit: {error}") from error
    return module if isinstance(module, TunableNetwork) else TunableNetwork(module, spec)


def _find_file(name: str, root: Path) -> Path:
    path = root / Path(name).expanduser()
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"train.network.start: expected a file of {', '.join(SUFFIXES)}, got {str(path)!r}")
    if not path.is_file():
        raise DataError(f"train.network.start: expected a checkpoint at {path}, found no such file")
    return path


def _read_checkpoint(path: Path) -> Mapping[str, object]:
    try:
        if path.suffix.lower() == ".safetensors":
            tensors: Mapping[str, object] = safetensors.torch.load_file(path)
            return tensors
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, EOFError) as error:
        raise _unreadable_error(path, error) from error
    except (pickle.UnpicklingError, SafetensorError) as error:
        raise _unreadable_error(path, error) from error
    if not isinstance(found, Mapping):
        raise DataError(
            f"train.network.start {path}: expected tensors by name, got a {type(found).__name__}; save the "
            "network's state_dict()"
        )
    return found


def _unreadable_error(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())
    return DataError(f"train.network.start {path} is no checkpoint of tensors alone: {reason}")
