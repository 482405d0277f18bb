"""Between a network and the bytes of ``model.safetensors``: no pickle on either side."""

from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from tunable_models import TunableError, TunableNetwork, get_architecture, make_tunable
from zoo.errors import IntegrityError, ManifestError
from zoo.manifest import WEIGHTS, Manifest

MAX_PARAMETERS = 2**29
"""2 GiB in float32; the largest published restoration networks have a tenth of it."""


def encode(network: TunableNetwork) -> bytes:
    """The state of a network as safetensors, the same bytes for the same state.

    Raises:
        IntegrityError: tensors that are not finite.
    """
    # Cloned because safetensors refuses tensors that share memory, as tied ones do.
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in network.state_dict().items()}
    _refuse_non_finite(tensors)
    return save(tensors)


def rebuild(manifest: Manifest, data: bytes) -> TunableNetwork:
    """The network of a manifest with the weights in ``data``, on the CPU, frozen, in evaluation mode.

    The caller's random state is left as it was.

    Raises:
        ManifestError: the architecture, config or basis is unknown, impossible or far too large.
        IntegrityError: no safetensors, tensors that are not finite, or not those of this network.
    """
    tensors = _decode(data)
    with torch.device("meta"):  # shapes without memory: nothing is allocated before all is checked
        sketch = _build(manifest)
    size = sum(tensor.numel() for tensor in (*sketch.parameters(), *sketch.buffers()))
    if size > MAX_PARAMETERS:
        raise ManifestError(f"{_label(manifest)} has {size:,} parameters; the limit is {MAX_PARAMETERS:,}")
    _refuse_misfit(sketch.state_dict(), tensors, _label(manifest))
    _refuse_non_finite(tensors)
    with torch.random.fork_rng(devices=[]):
        network = _build(manifest)
    network.load_state_dict(tensors)
    return network.requires_grad_(False).eval()


def _build(manifest: Manifest) -> TunableNetwork:
    config: dict[str, Any] = dict(manifest.architecture.config)
    try:
        plain = get_architecture(manifest.architecture.id).build(**config)
        return make_tunable(
            plain,
            manifest.control_space,
            manifest.basis,  # type: ignore[arg-type]
            rank=manifest.rank,
            include=manifest.include,
            exclude=manifest.exclude,
        )
    except (TunableError, TypeError, RuntimeError) as error:
        raise ManifestError(
            f"{manifest.name}@{manifest.version} asks for a network that cannot be built here: {error}; "
            "a newer tunable-zoo may know it"
        ) from error


def _decode(data: bytes) -> dict[str, Tensor]:
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise IntegrityError(f"{WEIGHTS} is no safetensors file: {error}") from error


def _refuse_non_finite(tensors: dict[str, Tensor]) -> None:
    bad = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if bad:
        raise IntegrityError(f"expected finite weights, got NaN or infinity in {_some(bad)}; train again")


def _refuse_misfit(expected: dict[str, Tensor], found: dict[str, Tensor], label: str) -> None:
    both = expected.keys() & found.keys()
    problems = {
        "missing": sorted(expected.keys() - both),
        "not its own": sorted(found.keys() - both),
        "of another shape or type": sorted(
            f"{name} ({_form(found[name])}, expected {_form(expected[name])})"
            for name in both
            if _form(found[name]) != _form(expected[name])
        ),
    }
    if any(problems.values()):
        parts = [f"{kind}: {_some(names)}" for kind, names in problems.items() if names]
        raise IntegrityError(f"{WEIGHTS} does not fit {label}; {'; '.join(parts)}")


def _form(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _label(manifest: Manifest) -> str:
    options = ", ".join(f"{key}={value!r}" for key, value in manifest.architecture.config.items())
    return f"{manifest.architecture.id}({options})"


def _some(names: list[str], limit: int = 5) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
