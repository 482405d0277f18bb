"""Numbers as text."""

import pytest

from pipelines.core.errors import ConfigError
from pipelines.core.sliders import parse_value


@pytest.mark.parametrize(
    ("text", "value"), [("0.5", 0.5), (".5", 0.5), ("5.", 5.0), ("+1e-1", 0.1), ("-0", 0.0), ("25", 25.0)]
)
def test_numbers(text: str, value: float) -> None:
    assert parse_value("denoise", text) == value


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "nan", "inf", "1_0", "0x1", "1e", ".", "1;2", "\u0663", "1\n"]
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="denoise: expected a number"):
        parse_value("denoise", text)


def test_comma_gets_a_hint() -> None:
    with pytest.raises(ConfigError, match="decimal mark is a point"):
        parse_value("denoise", "0,5")
