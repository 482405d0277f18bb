"""Reading ``params.yaml``: the only module that reads YAML.

One section a stage; each stage's model lives beside the stage, so that editing one stage's options
does not touch the modules another stage depends on.
"""

from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.errors import ConfigError

SECTIONS = ("prepare", "train", "evaluate", "publish", "serve")
"""Every top-level key ``params.yaml`` may have."""


class Section(BaseModel):
    """Base of every options model: immutable, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


S = TypeVar("S", bound=Section)


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML keeps the last of two equal keys without a word; we refuse them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise ConfigError(f"key {key!r} stands twice{node.start_mark}; keep one of them")
        return super().construct_mapping(node, deep=deep)


def load_section(path: Path, name: str, model: type[S]) -> S:
    """One section of ``params.yaml`` as its typed model.

    Args:
        path: the YAML file.
        name: the section; a missing or empty one means all defaults.
        model: the model of that section.

    Raises:
        ConfigError: the file is missing or not YAML, a key is unknown or twice there, a value is
            of the wrong type or out of range. The message names the key and the nearest valid one.
    """
    document = _read_yaml(path)
    for key in document:
        if key not in SECTIONS:
            raise ConfigError(f"{path.name}: unknown section {key!r}{_nearest(str(key), SECTIONS)}")
    return parse_section(document.get(name) or {}, name, model)


def parse_section(values: Any, name: str, model: type[S]) -> S:
    """Plain values as a typed section; every fault in one ConfigError."""
    try:
        return model.model_validate(_tuples(values))
    except ValidationError as error:
        faults = "; ".join(_sentence(fault, name, model) for fault in error.errors())
        raise ConfigError(faults) from None


def _read_yaml(path: Path) -> dict[Any, Any]:
    if not path.is_file():
        raise ConfigError(
            f"expected the parameters in {path}, found no such file; run from the repository root"
        )
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{path.name}: expected sections such as 'train:', got a {type(document).__name__}")
    return document


def _tuples(value: Any) -> Any:
    # YAML knows lists only, and strict models want the tuples that keep a frozen model hashable.
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value


def _sentence(fault: Any, name: str, model: type[BaseModel]) -> str:
    where = ".".join([name, *map(str, fault["loc"])])
    if fault["type"] == "extra_forbidden":
        hint = _nearest(str(fault["loc"][-1]), _names(model, fault["loc"]))
        return f"params.yaml: unknown key {where!r}{hint}"
    hint = ""
    if fault["type"] in {"float_type", "int_type"} and isinstance(fault["input"], str):
        hint = " (YAML reads 1e-3 as text: write 0.001 or 1.0e-3)"
    return f"params.yaml: {where}: {fault['msg']}, got {fault['input']!r}{hint}"


def _names(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    for key in location[:-1]:
        field = model.model_fields.get(str(key))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)


def _nearest(name: str, valid: Any) -> str:
    close = get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; valid are {', '.join(valid)}"
