"""A stand-in for a call that writes to a full disk."""

import errno
import os
from typing import Any, NoReturn


def full(*arguments: Any, **options: Any) -> NoReturn:
    """Raise the error of a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
