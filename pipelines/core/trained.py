"""Load what the ``train`` stage left: the network and the record that describes it."""

from pathlib import Path
from typing import Any

import safetensors.torch

from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.core.records import read_json, sha256_file
from tunable_models import NetworkSpec, TunableError, TunableNetwork, load_network

AGAIN = "train again: tunable run train"


def load_trained(layout: Layout) -> tuple[TunableNetwork, dict[str, Any]]:
    """The trained network of a work tree, as :func:`load_folder` gives it."""
    return load_folder(layout.train)


def load_folder(folder: Path) -> tuple[TunableNetwork, dict[str, Any]]:
    """A trained network, frozen and ready for inference on the CPU, and its record.

    Args:
        folder: with ``model.safetensors`` and ``record.json``, as the ``train`` stage left them.

    Raises:
        DataError: a file is missing or damaged, or the weights are not those of the record.
    """
    record = _read_record(folder)
    weights = folder / "model.safetensors"
    try:
        got = sha256_file(weights)
        if got != record["weights_sha256"]:
            raise DataError(f"expected SHA-256 {record['weights_sha256']} of {weights}, got {got}; {AGAIN}")
        network = load_network(NetworkSpec.from_dict(record), safetensors.torch.load_file(weights))
    except DataError:
        raise
    except (OSError, KeyError, TypeError, TunableError, RuntimeError) as error:
        raise _unusable_error(folder, error) from error
    return network, record


def _read_record(folder: Path) -> dict[str, Any]:
    try:
        record = read_json(folder / "record.json")
    except (OSError, ValueError) as error:
        raise _unusable_error(folder, error) from error
    if not isinstance(record, dict) or record.get("schema") != 1:
        raise DataError(f"expected a record of schema 1 in {folder}, got something else; {AGAIN}")
    return record


def _unusable_error(folder: Path, error: Exception) -> DataError:
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return DataError(f"expected a trained network in {folder}, got {reason}; {AGAIN}")
