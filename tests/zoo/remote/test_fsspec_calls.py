import errno
from typing import Any

import pytest

from pipelines.core.errors import DataError
from pipelines.data.remote import Remote
from zoo.errors import FetchError
from zoo.remote.files import StorageFiles
from zoo.remote.fsspec_calls import PAUSES_S, call_fsspec

URL = "memory://shared/a.bin"


class NoCredentialsError(Exception):
    """As botocore's, which is told by its name."""


class Failing:
    """A call that fails a few times."""

    def __init__(self, error: Exception, times: int = 100) -> None:
        self.error, self.times, self.calls = error, times, 0

    def __call__(self, fs: Any, path: str) -> str:
        self.calls += 1
        if self.calls > self.times:
            return path
        raise self.error


def run(call: Failing) -> str:
    return call_fsspec("to read", URL, call, kind=FetchError, missing="look elsewhere")


@pytest.mark.parametrize(
    "error", [ConnectionResetError("reset"), OSError(errno.EIO, "broken"), RuntimeError()]
)
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    call = Failing(error, times=1)
    assert run(call) == "/shared/a.bin"
    assert call.calls == 2


def test_it_gives_up_after_the_last_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.remote.fsspec_calls.PAUSES_S", (0.0,) * len(PAUSES_S))
    call = Failing(ConnectionResetError("reset\nby peer"))
    with pytest.raises(
        FetchError, match=f"^expected to read {URL}, got ConnectionResetError: reset by peer; "
    ):
        run(call)
    assert call.calls == len(PAUSES_S) + 1


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (FileNotFoundError("gone"), "look elsewhere"),
        (FileExistsError("there"), "address"),
        (PermissionError("no"), "AWS_ACCESS_KEY_ID"),
        (NoCredentialsError("none"), "AWS_SECRET_ACCESS_KEY"),
        (ImportError("Install s3fs"), r"tunable-zoo\[s3\]"),
        (ValueError("odd"), "address"),
    ],
)
def test_what_does_not_pass_is_told_at_once(error: Exception, remedy: str) -> None:
    call = Failing(error)
    with pytest.raises(FetchError, match=remedy) as told:
        run(call)
    assert (call.calls, told.value.__cause__) == (1, error)


def test_the_caller_s_own_error_is_passed_on() -> None:
    error = FetchError("a full disk")
    call = Failing(error)
    with pytest.raises(FetchError) as told:
        run(call)
    assert (call.calls, told.value) == (1, error)


def test_photographs_and_zoos_are_read_by_the_same_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    messages = []
    for kind, read in (
        (DataError, lambda: Remote("s3://bucket").read("a.bin")),
        (FetchError, lambda: StorageFiles("s3://bucket").read("a.bin", 9)),
    ):
        with pytest.raises(kind) as told:
            read()
        messages.append(str(told.value))
    assert messages[0] == messages[1]
