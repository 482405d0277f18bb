"""Writes a complete ``params.yaml`` with some values changed; comments and order stay.

What stays has the form in which DVC writes the file. The text is read and written as YAML 1.1, as
``pipelines.core.config`` reads it, so that the text ``off`` is quoted.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark, YAMLError
from ruamel.yaml.tokens import CommentToken

from pipelines.core.errors import ConfigError
from pipelines.core.records import write_atomic

_HEAD = "%YAML 1.1\n---\n"


def write_params(source: Path, target: Path, changes: Mapping[str, Any]) -> None:
    """Write ``source`` with other values to ``target`` atomically.

    Args:
        source: a YAML file of sections.
        target: the file to write.
        changes: plain values by dotted key, such as ``train.optimizer.lr``; missing keys are added. A mapping
            replaces a whole mapping: keys that it lacks are removed.

    Raises:
        ConfigError: the source is missing or not YAML, or a dotted key leads through a value.
    """
    yaml = YAML()
    yaml.version = (1, 1)
    yaml.preserve_quotes = True
    yaml.width = 4096
    document = _load_document(source, yaml)
    for key, value in changes.items():
        _set_value(document, key, value)
    text = io.StringIO()
    yaml.dump(document, text)
    write_atomic(target, text.getvalue().removeprefix(_HEAD).encode())


def _load_document(source: Path, yaml: YAML) -> CommentedMap:
    try:
        document = yaml.load(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"expected the parameters in {source}, found no such file") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source.name} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, CommentedMap | None):
        raise ConfigError(f"{source.name}: expected sections, got a {type(document).__name__}")
    return CommentedMap() if document is None else document


def _set_value(document: CommentedMap, key: str, value: Any) -> None:
    *parents, last = key.split(".")
    node = document
    for parent in parents:
        if node.get(parent) is None:
            node[parent] = CommentedMap()
        node = node[parent]
        if not isinstance(node, CommentedMap):
            raise ConfigError(f"{key!r} leads through {node!r}, which has no keys of its own")
    if isinstance(value, Mapping) and isinstance(node.get(last), CommentedMap):
        _update_mapping(node[last], value, remove=True)
    else:
        _update_mapping(node, {last: value})


def _update_mapping(node: CommentedMap, values: Mapping[str, Any], *, remove: bool = False) -> None:
    # ruamel keeps the lines below a mapping, such as the next section's heading, with its last key.
    below = _take_lines_below(node)
    for key in [key for key in node if remove and key not in values]:
        del node[key]
    for key, value in values.items():
        node[key] = _to_yaml(value)
    last, key = _find_last_key(node)
    if below and last is not None:
        token = last.ca.items.setdefault(key, [None] * 4)
        token[2] = token[2] or CommentToken("\n", CommentMark(0), None)
        token[2].value += below


def _take_lines_below(node: CommentedMap) -> str:
    last, key = _find_last_key(node)
    token = (last.ca.items.get(key) or [None] * 4)[2] if last is not None else None
    if token is None:
        return ""
    line, end, below = token.value.partition("\n")
    token.value = line + end
    return str(below)


def _find_last_key(node: CommentedMap) -> tuple[CommentedMap | None, Any]:
    """The last key of a mapping, or of the block mapping that is its last value, and so on."""
    last, key = None, None
    while isinstance(node, CommentedMap) and node and not node.fa.flow_style():
        last, key = node, [*node][-1]
        node = node[key]
    return last, key


def _to_yaml(value: Any) -> Any:
    if isinstance(value, Mapping):
        return CommentedMap({key: _to_yaml(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        row = CommentedSeq([_to_yaml(item) for item in value])
        row.fa.set_flow_style()
        return row
    return float(value) if isinstance(value, float) else value  # numpy's subclass has no form in YAML
