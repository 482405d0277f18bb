"""Strict JSON: unambiguous to read, written in one canonical form."""

import json
import math
from pathlib import Path
from typing import Any

from zoo.errors import ManifestError

MAX_BYTES = 2**20
"""Room for thousands of metric rows; nothing larger is parsed."""


def read_json(path: Path) -> Any:
    """The value in the file.

    Raises:
        ManifestError: no regular file, larger than ``MAX_BYTES``, or not accepted by :func:`parse_json`.
    """
    if path.is_symlink() or not path.is_file():
        raise ManifestError(f"expected a regular file at {path}, found none")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    try:
        return parse_json(data)
    except ManifestError as error:
        raise ManifestError(f"{path}: {error}") from error


def parse_json(data: bytes, limit: int = MAX_BYTES) -> Any:
    """The value of UTF-8 JSON text of at most so many bytes.

    Raises:
        ManifestError: too large, too deep, malformed, a key given twice, or a number that is not finite.
    """
    if len(data) > limit:
        raise ManifestError(f"expected at most {limit} bytes of JSON, got more")
    try:
        return json.loads(
            data.decode(),
            object_pairs_hook=_check_keys,
            parse_float=_check_finite,
            parse_constant=_check_finite,
        )
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"expected well-formed JSON: {error}") from error


def encode_json(value: Any) -> bytes:
    """The one way this package writes a value: sorted keys, two spaces, UTF-8, a final newline.

    Raises:
        ManifestError: the value is no JSON, or holds NaN or an infinity.
    """
    try:
        text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ManifestError(f"expected plain JSON values: {error}") from error


def _check_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # json keeps the last of two equal keys, other readers the first: a reviewer and the loader
    # would then read different manifests.
    values = dict(pairs)
    if len(values) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ManifestError(f"key {twice!r} is given twice")
    return values


def _check_finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ManifestError(f"{text} is no finite number")
    return value
