"""A disk without room, in place of a call that writes."""

import errno
import os
from typing import Any, NoReturn


def full(*arguments: Any, **options: Any) -> NoReturn:
    """Fail as such a call does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
