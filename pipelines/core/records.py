"""Small files that one stage hands to the next: written whole or not at all."""

import hashlib
import json
from pathlib import Path
from typing import Any

from zoo.durable import replace_file


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data``, making folders on the way; a reader, or a crash, sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, data)


def write_json_atomic(path: Path, value: Any) -> None:
    """``value`` as JSON with sorted keys, the same bytes for the same value; NaN is refused."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    write_atomic(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """The value in a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
