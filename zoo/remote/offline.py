"""Whether other machines may be asked: ``$TUNABLE_OFFLINE`` set to anything but 0 forbids it.

A module of its own, because all that reaches another machine asks it.
"""

import os

from zoo.errors import FetchError

OFFLINE_VARIABLE = "TUNABLE_OFFLINE"


def is_offline() -> bool:
    """Whether the environment forbids to ask other machines."""
    return os.environ.get(OFFLINE_VARIABLE, "0") not in ("", "0")


def require_online(url: str) -> None:
    """Refuse to ask another machine where the environment forbids it.

    Raises:
        FetchError: it does.
    """
    if is_offline():
        raise FetchError(f"{OFFLINE_VARIABLE} is set, so {url} is not asked; unset it, or pull before")
