"""Parse slider values from a command line, a settings file or a form."""

import re

from pipelines.core.errors import ConfigError

# Stricter than float(), which also accepts "1_000", " 1 ", "infinity" and the digits of every script.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def parse_value(name: str, text: str) -> float:
    """Parse one decimal number; the control space checks its range.

    Raises:
        ConfigError: ``text`` is not a decimal number.
    """
    if _NUMBER.fullmatch(text):
        return float(text)
    hint = " (the decimal mark is a point)" if _NUMBER.fullmatch(text.replace(",", ".")) else ""
    raise ConfigError(f"{name}: expected a number such as 0.5, got {text[:40]!r}{hint}")
