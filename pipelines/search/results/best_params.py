"""A complete ``params.yaml`` with some values changed; its comments and its order stay.

The text is read and written as YAML 1.1, as ``pipelines.core.config`` reads it, so that ``1.0e-05`` stays a
number and the text ``off`` is quoted.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark, YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.tokens import CommentToken

from pipelines.core.errors import ConfigError
from pipelines.core.records import write_atomic

_HEAD = "%YAML 1.1\n---\n"


def write_params(source: Path, target: Path, changes: Mapping[str, Any]) -> None:
    """Write ``source`` with other values to ``target``, whole or not at all.

    Args:
        source: a YAML file of sections.
        target: the file to write.
        changes: plain values by dotted key, such as ``train.optimizer.lr``. A key that is not there is added
            behind its neighbours. A mapping replaces a whole mapping: keys that it lacks go.

    Raises:
        ConfigError: the source is missing or not YAML, or a dotted key leads through a value.
    """
    yaml = _yaml()
    document = _read(source, yaml)
    for key, value in changes.items():
        _assign(document, key, value)
    text = io.StringIO()
    yaml.dump(document, text)
    write_atomic(target, text.getvalue().removeprefix(_HEAD).encode())


class _Representer(RoundTripRepresenter):
    """ruamel writes null as nothing at all, which a reader takes for a forgotten value."""


def _null(representer: RoundTripRepresenter, _: None) -> ScalarNode:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _null)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.version = (1, 1)
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)  # lists below their key, as most people write them
    yaml.Representer = _Representer
    return yaml


def _read(source: Path, yaml: YAML) -> CommentedMap:
    try:
        document = yaml.load(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"expected the parameters in {source}, found no such file") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source.name} is not valid YAML: {' '.join(str(error).split())}") from error
    if document is None:
        return CommentedMap()
    if not isinstance(document, CommentedMap):
        raise ConfigError(
            f"{source.name}: expected sections such as 'train:', got a {type(document).__name__}"
        )
    return document


def _assign(document: CommentedMap, key: str, value: Any) -> None:
    """Set the value at a dotted key; mappings on the way that are missing or empty are made."""
    node, parts = document, key.split(".")
    while len(parts) > 1 and node.get(parts[0]) is not None:
        inner = node[parts.pop(0)]
        if not isinstance(inner, CommentedMap):
            raise ConfigError(f"{key!r} leads through {inner!r}, which has no keys of its own")
        node = inner
    for part in reversed(parts[1:]):
        value = {part: value}
    _set(node, parts[0], value)


def _set(node: CommentedMap, key: str, value: Any) -> None:
    # The lines below a value, such as the heading of the next section, hang on what stands last above them.
    place = _last(node, key) if key in node else _last(node, [*node][-1]) if node else None
    below = _cut(*place) if place else ""
    old = node.get(key)
    if isinstance(value, Mapping) and isinstance(old, CommentedMap):
        _replace(old, value)
    else:
        node[key] = _plain(value)
    _paste(*_last(node, key), below)


def _replace(node: CommentedMap, values: Mapping[str, Any]) -> None:
    """The mapping with these keys and no others; keys that stay keep their place and comments."""
    for key in [key for key in node if key not in values]:
        before = [*node].index(key) - 1
        below = _cut(*_last(node, key))
        del node[key]
        if before >= 0:
            _paste(*_last(node, [*node][before]), below)
    for key, value in values.items():
        _set(node, key, value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return CommentedMap({key: _plain(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        row = CommentedSeq([_plain(item) for item in value])
        row.fa.set_flow_style()
        return row
    # A subclass such as numpy's has no form in YAML.
    return float(value) if isinstance(value, float) else value


def _last(node: Any, key: Any) -> tuple[Any, Any]:
    """The place of a value; of one that spans lines, the place of its last line."""
    value = node[key]
    while isinstance(value, (CommentedMap, CommentedSeq)) and value and not value.fa.flow_style():
        node, key = value, [*value][-1] if isinstance(value, CommentedMap) else len(value) - 1
        value = node[key]
    return node, key


def _slot(node: Any) -> int:
    """Where ruamel keeps the comment behind a value, with the lines below it."""
    return 2 if isinstance(node, CommentedMap) else 0


def _cut(node: Any, key: Any) -> str:
    """Take the lines below a value away; what stands behind it on its own line stays."""
    token = (node.ca.items.get(key) or [None] * 4)[_slot(node)]
    if token is None:
        return ""
    line, end, below = token.value.partition("\n")
    token.value = line + end
    return str(below)


def _paste(node: Any, key: Any, below: str) -> None:
    """Add lines below a value."""
    if not below:
        return
    items = node.ca.items.setdefault(key, [None] * 4)
    if items[_slot(node)] is None:
        items[_slot(node)] = CommentToken("\n", CommentMark(0), None)
    items[_slot(node)].value += below
