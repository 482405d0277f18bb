"""Slider values written as text, on a command line or in a form."""

import re

from pipelines.core.errors import ConfigError

# Narrower than float(), which also takes "1_000", " 1 ", "infinity" and the digits of every script.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def parse_value(name: str, text: str) -> float:
    """The number in ``text``; its range is for the control space to judge.

    Raises:
        ConfigError: the text is not one decimal number.
    """
    if _NUMBER.fullmatch(text):
        return float(text)
    hint = " (the decimal mark is a point)" if _NUMBER.fullmatch(text.replace(",", ".")) else ""
    raise ConfigError(f"{name}: expected a number such as 0.5, got {text[:40]!r}{hint}")
