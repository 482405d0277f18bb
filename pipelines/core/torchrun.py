"""Which of torchrun's processes this is; light, because it is asked before anything heavy is imported.

https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables
"""

import os


def rank() -> int:
    """Number of this process among all; 0 leads, and is the only one without torchrun."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """How many there are on all nodes."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """Number of this process among those of its node."""
    return int(os.environ.get("LOCAL_RANK", "0"))
