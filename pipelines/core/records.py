"""Crash-safe files with folders on the way: bytes, JSON records and their SHA-256."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.durable import replace_file


def write_atomic(path: Path, data: bytes) -> None:
    """Replace a file, creating folders as needed; readers see the old content or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, data)


def write_json_atomic(path: Path, value: Any) -> None:
    """Write ``value`` as JSON with sorted keys, the same bytes for the same value; NaN raises ValueError."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    write_atomic(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flatten_keys(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted key; an empty mapping stays a value."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= flatten_keys(value, f"{name}.") if isinstance(value, Mapping) and value else {name: value}
    return flat
