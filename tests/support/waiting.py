"""Wait for a condition without a deadline of its own.

How long a busy machine takes is no fault, so nothing here gives up: the suite's time-out for hangs
(``timeout`` in pyproject.toml) ends a test that waits for ever, and its traceback shows for what.
"""

import time
from collections.abc import Callable

POLL_EVERY_S = 0.02

UNREACHED_S = 3600
"""For limits of the product that a busy machine must not reach; above the suite's time-out for hangs."""


def wait_until(condition: Callable[[], object]) -> None:
    """Poll until ``condition`` returns something true."""
    while not condition():
        time.sleep(POLL_EVERY_S)
