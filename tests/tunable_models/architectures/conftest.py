from typing import Any

import pytest

from plain_networks import SMALL

CASES = [
    pytest.param((name, config), id=f"{name}{i}") for name in SMALL for i, config in enumerate(SMALL[name])
]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """The name and a small configuration of every way through every architecture."""
    name, config = request.param
    return name, config
