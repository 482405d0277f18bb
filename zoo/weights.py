"""Encode and load the weights of a network as safetensors, without pickle."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from tunable_models import TunableError, TunableNetwork, list_architectures, load_network
from tunable_models.architectures import find_package
from tunable_models.errors import suggest_name
from tunable_models.loading import check_state, list_names
from zoo.errors import IntegrityError, ManifestError
from zoo.manifest import WEIGHTS, Manifest

MAX_PARAMETERS = 2**29
"""2 GiB in float32; the largest published restoration networks have a tenth of it."""

PACKAGE = "architecture_package"
"""Key in provenance: the package that registers the architecture, a hint for whoever lacks it. Nothing is
installed or imported by what it says."""

_FORMS = {
    "name": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"),
    "version": re.compile(r"[A-Za-z0-9.+!_-]{1,60}"),
}


def encode_weights(network: TunableNetwork) -> bytes:
    """The state of a network as safetensors, the same bytes for the same state.

    Raises:
        IntegrityError: tensors that are not finite.
    """
    # Cloned because safetensors refuses tensors that share memory, as tied ones do.
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in network.state_dict().items()}
    _refuse_non_finite(tensors)
    return save(tensors)


def count_parameters(path: Path) -> int:
    """The numbers in a file of weights, buffers included, from its header.

    Raises:
        IntegrityError: it is not safetensors.
    """
    try:
        with safe_open(path, framework="pt") as tensors:
            return sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise IntegrityError(f"{path}: expected safetensors, {error}") from error


def rebuild_network(manifest: Manifest, data: bytes) -> TunableNetwork:
    """The network of a manifest with the weights in ``data``, on the CPU, frozen, in evaluation mode.

    Raises:
        ManifestError: the architecture, config or basis is unknown, impossible or far too large.
        IntegrityError: no safetensors, tensors that are not finite, or not those of this network.
    """
    tensors = _decode_weights(data)
    _check_architecture(manifest)
    try:
        spec = manifest.network_spec()
        with torch.device("meta"):  # shapes without memory: nothing is allocated before all is checked
            sketch = TunableNetwork.from_spec(spec)
    except (TunableError, TypeError, RuntimeError) as error:
        raise ManifestError(
            f"{manifest.name}@{manifest.version} asks for a network that cannot be built here: {error}; "
            "a newer tunable-zoo may know it"
        ) from error
    size = sum(tensor.numel() for tensor in (*sketch.parameters(), *sketch.buffers()))
    if size > MAX_PARAMETERS:
        raise ManifestError(
            f"{_describe_network(manifest)} has {size:,} parameters; the limit is {MAX_PARAMETERS:,}"
        )
    try:
        check_state(sketch, tensors, WEIGHTS, types=True)
    except TunableError as error:
        raise IntegrityError(f"{WEIGHTS} does not fit {_describe_network(manifest)}: {error}") from error
    _refuse_non_finite(tensors)
    return load_network(spec, tensors)


def _check_architecture(manifest: Manifest) -> None:
    """Refuse a network whose architecture no installed package has, and name the package if it is known."""
    name = manifest.architecture.id
    if name in list_architectures():
        return
    origin = read_package(manifest.provenance)
    known = suggest_name(name, list_architectures(), otherwise="known here are")
    remedy = (
        f"says its publisher, it is of the package {origin['name']} {origin['version']}: "
        f"pip install {origin['name']}, if you trust it"
        if origin
        else "install the package that has it, or register it: tunable_models.register_architecture(...); a "
        "newer tunable-zoo may know it"
    )
    raise ManifestError(
        f"{manifest.name}@{manifest.version} asks for the unknown architecture {name!r}{known}; {remedy}"
    )


def _decode_weights(data: bytes) -> dict[str, Tensor]:
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise IntegrityError(f"{WEIGHTS} is no safetensors file: {error}") from error


def _refuse_non_finite(tensors: dict[str, Tensor]) -> None:
    bad = [name for name, tensor in tensors.items() if not _is_finite(tensor)]
    if bad:
        raise IntegrityError(
            f"expected finite weights, got NaN or infinity in {list_names(bad)}; train again"
        )


def _is_finite(tensor: Tensor) -> bool:
    # Least and largest are NaN where any number is; isfinite of all would make a tensor as large.
    return tensor.numel() == 0 or bool(torch.stack(tensor.aminmax()).isfinite().all())


def _describe_network(manifest: Manifest) -> str:
    options = ", ".join(f"{key}={value!r}" for key, value in manifest.architecture.config.items())
    return f"{manifest.architecture.id}({options})"


def describe_package(architecture: str) -> dict[str, Any]:
    """The installed package of an architecture, for provenance; empty for those of this one."""
    package = find_package(architecture) if architecture else None
    return {} if package is None else {PACKAGE: {"name": package.name, "version": package.version}}


def read_package(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Name and version from provenance, which anybody may have written; empty if of no such form."""
    found = provenance.get(PACKAGE)
    values = found if isinstance(found, Mapping) else {}
    texts = {key: values.get(key) for key in _FORMS}
    fit = {key: text for key, text in texts.items() if isinstance(text, str) and _FORMS[key].fullmatch(text)}
    return fit if len(fit) == len(_FORMS) else {}
