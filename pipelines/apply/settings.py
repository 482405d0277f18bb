"""Read slider values from a file: for all pictures, or for each by name.

In JSON and YAML a number sets a slider for all pictures, and an object sets sliders of one picture:

    {"denoise": 0.5, "night/a.jpg": {"denoise": 0.9}}

The first row of CSV names sliders. With a column ``picture`` each further row is for that picture, and an
empty cell leaves its slider unset; without it there is one further row, for all. The name of a picture is its
path relative to the folder or glob that found it, and the bare file name otherwise.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipelines.core.errors import ConfigError, PipelineError, suggest_name
from pipelines.core.sliders import parse_value
from tunable_models import ControlSpace, OmegaError

PICTURE = "picture"
"""The column of a CSV file that names pictures."""

Values = Mapping[str, float]


@dataclass(frozen=True)
class Settings:
    """Slider values in native units; unset sliders have their defaults.

    Attributes:
        common: for all pictures.
        own: by picture; they override the common ones.
    """

    common: Values
    own: Mapping[str, Values]

    def of(self, picture: str) -> dict[str, float]:
        """The values of one picture."""
        return {**self.common, **self.own.get(picture, {})}


def combine_settings(
    assigned: Values, file: Path | None, space: ControlSpace, pictures: Collection[str]
) -> Settings:
    """Combine the values of the command line with those of a file.

    Args:
        assigned: values of the command line.
        file: with further values; None if there is none.
        space: of the model.
        pictures: names of the inputs.

    Raises:
        ConfigError: a file that cannot be read, a picture that is not among the inputs, or a slider that both
            set.
        OmegaError: an unknown slider, or a value out of its range; those of a file name it and the picture.
    """
    space.omega(assigned)
    if file is None:
        return Settings(assigned, {})
    read = read_settings(file)
    for name in read.own:
        if name not in pictures:
            hint = suggest_name(name, pictures, "they have names such as")
            raise ConfigError(f"{file}: {name!r} is not among the pictures{hint}")
    for values in (read.common, *read.own.values()):
        if both := sorted({*values} & {*assigned}):
            raise ConfigError(f"{both[0]} is set by --set and in {file}; keep one")
    settings = Settings({**read.common, **assigned}, read.own)
    for name in ("", *read.own):
        try:
            space.omega(settings.of(name))
        except OmegaError as error:
            raise OmegaError(f"{file}{', ' if name else ''}{name}: {error}") from error
    return settings


def read_settings(path: Path) -> Settings:
    """Read JSON, YAML or CSV, by the suffix of the file.

    Raises:
        ConfigError: a missing file, an unknown suffix, or invalid content.
    """
    if not path.is_file():
        raise ConfigError(f"--settings {path}: expected a file, found none")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _read_csv(path)
    if suffix == ".json":
        return _parse_mapping(path, _read_json(path))
    if suffix in (".yaml", ".yml"):
        return _parse_mapping(path, _read_yaml(path))
    raise ConfigError(f"--settings {path}: expected .json, .yaml or .csv, got {path.suffix!r}")


def _read_json(path: Path) -> Any:
    from zoo import ManifestError
    from zoo.strict_json import parse_json

    try:
        return parse_json(path.read_bytes())
    except ManifestError as error:  # the error of the files that it usually reads
        raise ConfigError(f"{path}: {error}") from error


def _read_yaml(path: Path) -> Any:
    if find_spec("yaml") is None:
        raise PipelineError(f"{path} needs yaml: pip install pyyaml, or write the settings as JSON or CSV")
    from pipelines.core.config import read_yaml

    return read_yaml(path)


def _parse_mapping(path: Path, document: Any) -> Settings:
    if not isinstance(document, dict):
        raise ConfigError(
            f"{path}: expected sliders, or pictures with sliders, got a {type(document).__name__}"
        )
    common: dict[str, float] = {}
    own: dict[str, Values] = {}
    for key, value in document.items():
        if isinstance(value, dict):
            own[str(key)] = {
                str(name): _parse_number(path, f"{key}: {name}", item) for name, item in value.items()
            }
        else:
            common[str(key)] = _parse_number(path, str(key), value)
    return Settings(common, own)


def _parse_number(path: Path, place: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{path}: {place}: expected a number such as 0.5, got {value!r}")
    return float(value)


def _read_csv(path: Path) -> Settings:
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets write a byte order mark
        head, *rows = [row for row in csv.reader(io.StringIO(text), strict=True) if any(row)]
    except (csv.Error, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(
            f"{path}: expected CSV with a row of names and rows of values, got: {error}"
        ) from error
    for row in rows:
        if len(row) != len(head):
            raise ConfigError(
                f"{path}: expected {len(head)} cells in each row, got {len(row)}: {','.join(row)}"
            )
    if len({*head}) < len(head):
        raise ConfigError(f"{path}: duplicate column in {','.join(head)}; keep one of them")
    if PICTURE not in head:
        if len(rows) != 1:
            raise ConfigError(
                f"{path}: expected one row for all, or a column {PICTURE!r}, got {len(rows)} rows"
            )
        return Settings(dict(_parse_cells(path, head, rows[0])), {})
    own: dict[str, Values] = {}
    for row in rows:
        name = row[head.index(PICTURE)]
        if name in own:
            raise ConfigError(f"{path}: duplicate picture {name!r}; keep one row")
        own[name] = dict(_parse_cells(path, head, row))
    return Settings({}, own)


def _parse_cells(path: Path, head: list[str], row: list[str]) -> Iterator[tuple[str, float]]:
    for name, text in zip(head, row, strict=True):
        if name != PICTURE and text:
            try:
                yield name, parse_value(name, text)
            except ConfigError as error:
                raise ConfigError(f"{path}: {error}") from error
