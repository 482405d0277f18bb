"""Calls to a storage that fsspec knows, tried again after errors that may pass.

A module of its own, because photographs and checkpoints of the pipelines are read and written by it as well
as zoos, and what a stage depends on is to be small.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

PAUSES_S = (0.5, 2.0, 5.0)
"""Pauses before the retries of a failed call."""

T = TypeVar("T")

_NOT_RETRIED = (  # retrying does not help
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    NotImplementedError,  # fsspec: this kind of storage cannot do it, such as writing to GitHub
    ImportError,
    ValueError,
)


def call_fsspec(
    purpose: str, url: str, call: Callable[[Any, str], T], *, kind: type[Exception], missing: str
) -> T:
    """Call a function with the file system of a URL and the path there, again if that may help.

    Args:
        purpose: what is expected of the URL, for the message.
        url: of a file or a folder.
        call: the function; an error of ``kind`` that it raises is passed on.
        kind: class of the error, whose message says the URL, the reason and what to do.
        missing: what to do where there is no such file.

    Returns:
        What the function returns.
    """
    from fsspec.core import url_to_fs  # late: most uses of the zoo need no other place

    for pause_s in (*PAUSES_S, None):
        try:
            # Each time anew: an instance does not survive a fork, which fsspec's own cache takes care of.
            return call(*url_to_fs(url))
        except kind:
            raise
        except Exception as error:  # each protocol has its own: botocore's, aiohttp's, ...
            if pause_s is None or isinstance(error, _NOT_RETRIED) or _lacks_keys(error):
                raise kind(describe_failure(purpose, url, error, _find_remedy(error, missing))) from error
            time.sleep(pause_s)
    raise AssertionError("unreachable")


def describe_failure(purpose: str, url: str, error: Exception, remedy: str) -> str:
    """Message about a URL that cannot be read or written, in one line."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"expected {purpose} {url}, got {type(error).__name__}: {reason}; {remedy}"


def _lacks_keys(error: Exception) -> bool:
    return type(error).__name__ == "NoCredentialsError"  # botocore's, which need not be installed


def _find_remedy(error: Exception, missing: str) -> str:
    match error:
        case ImportError():
            return "install the package that reads it, for s3: pip install 'tunable-zoo[s3]'"
        case PermissionError():
            return "check the keys (for s3: AWS_ACCESS_KEY_ID or ~/.aws) and their permissions"
        case _ if _lacks_keys(error):
            return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws"
        case FileNotFoundError():
            return missing
    return "check the address and the network"
