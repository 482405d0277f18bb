"""Encode and load the weights of a network as safetensors, without pickle."""

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from tunable_models import TunableError, TunableNetwork, load_network
from tunable_models.loading import check_state, list_names
from zoo.errors import IntegrityError, ManifestError
from zoo.manifest import WEIGHTS, Manifest

MAX_PARAMETERS = 2**29
"""2 GiB in float32; the largest published restoration networks have a tenth of it."""


def encode_weights(network: TunableNetwork) -> bytes:
    """The state of a network as safetensors, the same bytes for the same state.

    Raises:
        IntegrityError: tensors that are not finite.
    """
    # Cloned because safetensors refuses tensors that share memory, as tied ones do.
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in network.state_dict().items()}
    _refuse_non_finite(tensors)
    return save(tensors)


def rebuild_network(manifest: Manifest, data: bytes) -> TunableNetwork:
    """The network of a manifest with the weights in ``data``, on the CPU, frozen, in evaluation mode.

    Raises:
        ManifestError: the architecture, config or basis is unknown, impossible or far too large.
        IntegrityError: no safetensors, tensors that are not finite, or not those of this network.
    """
    tensors = _decode_weights(data)
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


def _decode_weights(data: bytes) -> dict[str, Tensor]:
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise IntegrityError(f"{WEIGHTS} is no safetensors file: {error}") from error


def _refuse_non_finite(tensors: dict[str, Tensor]) -> None:
    bad = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if bad:
        raise IntegrityError(
            f"expected finite weights, got NaN or infinity in {list_names(bad)}; train again"
        )


def _describe_network(manifest: Manifest) -> str:
    options = ", ".join(f"{key}={value!r}" for key, value in manifest.architecture.config.items())
    return f"{manifest.architecture.id}({options})"
