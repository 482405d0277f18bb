"""Recipes: a whole ``params.yaml`` for every task, sized for a CPU or for a GPU.

The CPU preset trains in a few minutes on two cores, to see the sliders live; the GPU preset has a
published network's size and number of steps.
"""

from difflib import get_close_matches
from importlib.resources import files

from pipelines.errors import ConfigError

NAMES = (
    "noise-level",
    "denoise-strength",
    "denoise-deblur",
    "super-resolution",
    "style-transfer",
    "real-world",
    "three-objectives",
)
"""The tasks, each of which has a recipe of both presets."""

PRESETS = ("cpu", "gpu")


def recipe(name: str, preset: str = "cpu") -> str:
    """The text of a ``params.yaml`` that trains a task, evaluates and publishes it.

    Raises:
        ConfigError: an unknown name or preset; the message lists those there are.
    """
    if name not in NAMES:
        raise ConfigError(f"unknown recipe {name!r}{_nearest(name)}; there are {', '.join(NAMES)}")
    if preset not in PRESETS:
        raise ConfigError(f"unknown preset {preset!r}; expected one of {', '.join(PRESETS)}")
    return files(__package__).joinpath(f"{name}-{preset}.yaml").read_text(encoding="utf-8")


def _nearest(name: str) -> str:
    close = get_close_matches(name, NAMES, n=1)
    return f", did you mean {close[0]!r}" if close else ""
