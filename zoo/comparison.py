"""Compare two entries: network, sliders, numbers, licences and weights."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from safetensors.torch import load
from torch import Tensor

from zoo.entry import Entry
from zoo.manifest import WEIGHTS

ABSENT = "-"


class Difference(NamedTuple):
    """A property in which two entries differ.

    Attributes:
        name: dotted path, such as ``sliders.denoise.default`` or ``metrics.psnr``.
        first: its value in the first entry, ``-`` where that has none.
        second: the same of the second.

    Example:
        >>> print(Difference("sliders.denoise.default", 0.5, 1.0).name)
        sliders.denoise.default
    """

    name: str
    first: Any
    second: Any


def diff_entries(first: Entry, second: Entry) -> list[Difference]:
    """In what two entries differ, provenance and version left out; empty for the same content.

    The weights are compared by ``weights.relative_change``: the norm of their difference over that of the
    first, where both networks have the same tensors.

    Raises:
        IntegrityError: an entry is damaged.

    Example:
        >>> entry = store.open("tiny")
        >>> diff_entries(entry, entry)
        []
    """
    one, other = _describe(first), _describe(second)
    names = [*one, *(name for name in other if name not in one)]
    found = [Difference(name, one.get(name, ABSENT), other.get(name, ABSENT)) for name in names]
    found = [item for item in found if item.first != item.second]
    return [*found, *_diff_weights(first, second)]


def _describe(entry: Entry) -> dict[str, Any]:
    manifest = entry.manifest
    values = manifest.model_dump(
        mode="json", exclude={"version", "provenance", "files", "space", "metrics", "schema_version"}
    )
    space = manifest.control_space
    sliders = {
        control.name: {"low": control.low, "high": control.high, "default": control.default}
        for control in space.controls
    }
    sizes = {record.path: record.size for record in manifest.files}
    return _flatten(
        {
            **values,
            "sliders": {"together": space.kind, **sliders},
            "metrics": manifest.metrics.get("summary"),
            "weights.bytes": sizes[WEIGHTS],
        }
    )


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _diff_weights(first: Entry, second: Entry) -> list[Difference]:
    data, other = first.contents()[WEIGHTS], second.contents()[WEIGHTS]
    if data == other:
        return []
    before, after = load(data), load(other)
    if {name: tensor.shape for name, tensor in before.items()} != {n: t.shape for n, t in after.items()}:
        return [Difference("weights.tensors", len(before), len(after))]
    change = _norm({name: after[name].double() - tensor.double() for name, tensor in before.items()})
    return [Difference("weights.relative_change", 0.0, change / (_norm(before) or 1.0))]


def _norm(tensors: Mapping[str, Tensor]) -> float:
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors.values()))
