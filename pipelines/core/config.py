"""Load and validate ``params.yaml`` and machine settings: the only module that reads YAML.

DVC, which writes the file in ``dvc exp run --set-param``, reads and writes YAML 1.2, where 1e-05 is a number.

The model of each section is in the folder of its stage, so that editing the options of one stage does not
change the modules that another stage depends on.
"""

import os
import re
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.core.errors import ConfigError, suggest_name
from pipelines.core.machine import (
    LOCAL,
    MachineSetting,
    apply_settings,
    check_settings,
    find_local_file,
    find_variables,
    list_settings,
)

SECTIONS = ("prepare", "train", "search", "evaluate", "publish", "serve")
"""Every top-level key ``params.yaml`` may have."""

LONGEST_INPUT = 120
"""Length of an invalid value that a message repeats; a whole section would hide the fault."""


class Section(BaseModel):
    """Base of every options model: immutable, strict types, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    machine: ClassVar[tuple[str, ...]] = ()
    """Options that :mod:`pipelines.core.machine` may give too."""

    @classmethod
    def resolve(cls, values: Any) -> type["Section"]:
        """The model of these plain values: this one, unless they name another."""
        del values
        return cls


S = TypeVar("S", bound=Section)


class _StrictLoader(yaml.SafeLoader):
    """Reads the floats of YAML 1.2, and refuses duplicate keys, of which YAML silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise ConfigError(f"duplicate key {key!r}{node.start_mark}; keep one of them")
        return super().construct_mapping(node, deep=deep)


# PyYAML's own pattern, of YAML 1.1, wants a point in the number and a sign in the exponent.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+\Z"),
    list("-+.0123456789"),
)


def load_section(path: Path, name: str, model: type[S]) -> S:
    """Load one section of ``params.yaml``, with this machine's settings, as its typed model.

    Args:
        path: the YAML file.
        name: of the section; all defaults if it is missing or empty.
        model: of the section.

    Raises:
        ConfigError: the file is missing or not YAML, a key is unknown or duplicate, a value is of the wrong
            type or out of range. The message names the key and the nearest valid one.
    """
    document = read_yaml(path)
    for key in document:
        if key not in SECTIONS:
            raise ConfigError(f"{path.name}: unknown section {key!r}{suggest_name(str(key), SECTIONS)}")
    values = document.get(name) or {}
    settings = [setting for setting in read_machine_settings(path) if setting.keys[0] == name]
    check_settings(settings, name, model.machine)
    options = parse_section(values, name, model)  # so that a mistake is searched for in the right file
    if not settings:
        return options
    origins = ", ".join(sorted({setting.origin for setting in settings}))
    return parse_section(apply_settings(values, settings), name, model, source=origins)


def read_machine_settings(path: Path) -> list[MachineSetting]:
    """Settings of this machine for a ``params.yaml``, those that win last.

    Raises:
        ConfigError: ``local.yaml`` or an environment variable is not YAML, or names an unknown section.
    """
    settings: list[MachineSetting] = []
    local = find_local_file(path)
    if local is not None:
        settings += list_settings(read_yaml(local), LOCAL)
    for variable, keys in find_variables().items():
        try:
            value = yaml.load(os.environ[variable], Loader=_StrictLoader)
        except yaml.YAMLError as error:
            raise ConfigError(f"{variable} is not valid YAML: {' '.join(str(error).split())}") from error
        settings.append(MachineSetting(variable, keys, value))
    for setting in settings:
        section = setting.keys[0]
        if section not in SECTIONS:
            raise ConfigError(
                f"{setting.origin}: unknown section {section!r}{suggest_name(section, SECTIONS)}"
            )
    return settings


def parse_section(values: Any, name: str, model: type[S], *, source: str = "params.yaml") -> S:
    """Validate plain values as a typed section; one ConfigError reports every fault.

    Args:
        values: of the section.
        name: of the section.
        model: of the section.
        source: where the values come from, in messages.
    """
    try:
        return model.model_validate(_lists_to_tuples(values))
    except ValidationError as error:
        faults = (_describe_fault(fault, name, model, values, source) for fault in error.errors())
        raise ConfigError("; ".join(faults)) from None


def read_yaml(path: Path) -> dict[Any, Any]:
    """Read the mapping in a YAML file; empty for an empty file.

    Raises:
        ConfigError: no such file, invalid YAML, a duplicate key, or no mapping.
    """
    if not path.is_file():
        raise ConfigError(
            f"expected the parameters in {path}, found no such file; run from the repository root"
        )
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{path.name}: expected sections such as 'train:', got a {type(document).__name__}")
    return document


def _lists_to_tuples(value: Any) -> Any:
    # YAML has lists only; strict models require tuples, which keep a frozen model hashable.
    if isinstance(value, dict):
        return {key: _lists_to_tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_lists_to_tuples(item) for item in value)
    return value


def _describe_fault(fault: Any, name: str, model: type[Section], values: Any, source: str) -> str:
    keys, valid = _locate_fault(fault["loc"], model, values)
    where = ".".join([name, *keys])
    if fault["type"] == "extra_forbidden":
        return f"{source}: unknown key {where!r}{suggest_name(keys[-1], valid)}"
    got = f", got {fault['input']!r}" if len(repr(fault["input"])) <= LONGEST_INPUT else ""
    return f"{source}: {where}: {fault['msg'].removeprefix('Value error, ')}{got}"


def _locate_fault(location: tuple[Any, ...], model: Any, values: Any) -> tuple[list[str], list[str]]:
    """The path of keys to a fault, and the valid names at its last key."""
    valid: list[str] = []
    inner, here = model, values
    for key in location:
        fields = inner.resolve(here).model_fields if _is_section(inner) else {}
        valid = list(fields)
        inner = _only_section(fields[key].annotation) if key in fields else None
        here = here.get(key) if isinstance(here, dict) else None
    return [str(key) for key in location], valid


def _only_section(annotation: Any) -> Any:
    """The model in ``Model | None``; otherwise the annotation itself."""
    models = [member for member in get_args(annotation) if _is_section(member)]
    return models[0] if len(models) == 1 else annotation


def _is_section(item: Any) -> bool:
    return isinstance(item, type) and issubclass(item, Section)
