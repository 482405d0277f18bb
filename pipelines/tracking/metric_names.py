"""Names of metrics on the tracking server, whose pages group charts by what is before the last slash.

A run folder holds nested numbers; a *group* says how they are named. An empty group names them by dotted
keys, as copies of earlier versions do.

=============  ===============================================================================
group          metrics
=============  ===============================================================================
``train``      of a training: ``train/loss``, ``train/progress/epoch``, ``validation/psnr``;
               scores of a search's trial: ``score/hypervolume``
``test``       of an evaluation: ``test/psnr``, ``test/gain_db``
``search``     of a search: ``search/best.hypervolume``
=============  ===============================================================================
"""

from collections.abc import Mapping
from typing import Any, Literal

from pipelines.core.records import flatten_keys

Group = Literal["", "train", "test", "search"]

_PROGRESS = ("epoch", "grad_norm", "images_per_s", "workers", "memory_gb")


def name_metrics(values: Mapping[str, Any], group: Group) -> dict[str, float]:
    """Numbers by the name that the server shows, the loss first.

    Args:
        values: nested; what is no number is left out.
        group: how they are named.
    """
    if group == "train":
        return _name_training(values)
    named = select_numbers(values)
    return {f"{group}/{name}": value for name, value in named.items()} if group else named


def select_numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among nested values, by dotted name; without booleans."""
    flat = flatten_keys(values)
    return {k: float(v) for k, v in flat.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}


def _name_training(values: Mapping[str, Any]) -> dict[str, float]:
    rest = dict(values)
    # The server lists metrics in the order in which it first gets them, charts of a heading by name.
    train = {"loss": rest.pop("loss", None)}
    train |= {f"loss_{name}": share for name, share in (rest.pop("shares", None) or {}).items()}
    train["lr"] = rest.pop("lr", None)
    progress = {name: rest.pop(name, None) for name in _PROGRESS}
    validation = dict(rest.pop("validation", None) or {})
    settings = validation.pop("at", {})
    for setting, numbers in settings.items():
        validation |= {f"{name} at {setting}": value for name, value in numbers.items()}
    score = dict(rest.pop("score", None) or {}) | rest
    parts = {"train": train, "train/progress": progress, "validation": validation, "score": score}
    return {f"{part}/{key}": value for part in parts for key, value in select_numbers(parts[part]).items()}
