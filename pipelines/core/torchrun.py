"""Which of torchrun's processes this is; light, since it is needed before heavy imports.

https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables
"""

import os


def rank() -> int:
    """Number of this process among all; 0 is the main one, and the only one without torchrun."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Number of processes on all nodes."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """Number of this process among those of its node."""
    return int(os.environ.get("LOCAL_RANK", "0"))
