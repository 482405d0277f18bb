"""Machine settings: options that say where and how a stage runs, and change no number it makes.

They may stand in ``params.yaml`` like all others. There they belong to the experiment: a changed one makes
DVC run the stage again, and a colleague inherits them. So they can be given outside what git and DVC track
instead. In order of precedence:

1. environment variables such as ``TUNABLE_TRAIN__COMPUTE__WORKERS=4``;
2. ``local.yaml`` beside ``params.yaml``, of the same form, ignored by git; a temporary copy of the work tree
   takes that of the main one;
3. ``params.yaml``.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.core.errors import ConfigError
from pipelines.core.layout import Layout

LOCAL = "local.yaml"
PREFIX, SEPARATOR = "TUNABLE_", "__"


@dataclass(frozen=True)
class MachineSetting:
    """One setting of this machine.

    Attributes:
        origin: file or environment variable that it comes from.
        keys: of the section and of the option in it.
        value: as YAML reads it.
    """

    origin: str
    keys: tuple[str, ...]
    value: Any

    def __str__(self) -> str:
        return f"{'.'.join(self.keys)} {self.value} ({self.origin})"


def find_local_file(params: Path) -> Path | None:
    """The ``local.yaml`` that goes with a ``params.yaml``, if there is one."""
    folder = params.absolute().parent
    for place in (folder, Layout(folder).main):
        if (place / LOCAL).is_file():
            return place / LOCAL
    return None


def list_settings(document: Mapping[Any, Any], origin: str) -> Iterator[MachineSetting]:
    """The settings in a document of the form of ``params.yaml``."""
    for section, values in document.items():
        yield from _flatten(origin, (str(section),), values)


def _flatten(origin: str, keys: tuple[str, ...], value: Any) -> Iterator[MachineSetting]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flatten(origin, (*keys, str(key)), item)
    elif len(keys) > 1 or value:  # an empty section says nothing
        yield MachineSetting(origin, keys, value)


def find_variables() -> dict[str, tuple[str, ...]]:
    """Environment variables that name an option, with its keys."""
    names = sorted(name for name in os.environ if name.startswith(PREFIX) and SEPARATOR in name)
    return {name: tuple(name.removeprefix(PREFIX).lower().split(SEPARATOR)) for name in names}


def check_settings(settings: list[MachineSetting], section: str, allowed: tuple[str, ...]) -> None:
    """Refuse options that are no machine settings.

    Args:
        settings: of the section.
        section: its name.
        allowed: options of it that are machine settings, each with all below it.

    Raises:
        ConfigError: an option changes what a stage makes, or does not exist.
    """
    for setting in settings:
        if len(setting.keys) < 2 or setting.keys[1] not in allowed:
            known = ", ".join(f"{section}.{option}" for option in allowed) or "none"
            raise ConfigError(
                f"{setting.origin}: {'.'.join(setting.keys)} is no machine setting (of section {section}: "
                f"{known}); what changes results belongs in params.yaml"
            )


def apply_settings(values: Mapping[str, Any], settings: list[MachineSetting]) -> dict[str, Any]:
    """A section's values with settings over them; later ones win."""
    merged: dict[str, Any] = dict(values)
    for setting in settings:
        inner = merged
        for key in setting.keys[1:-1]:
            below = inner.get(key)
            inner[key] = dict(below) if isinstance(below, Mapping) else {}
            inner = inner[key]
        inner[setting.keys[-1]] = setting.value
    return merged
