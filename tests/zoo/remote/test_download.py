import hashlib
import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from urllib3 import HTTPResponse

from file_server import Fault, FileServer, closed_port, serving
from full_disk import full
from waiting import UNREACHED_S
from zoo.errors import FetchError
from zoo.remote.download import CHUNK_BYTES, LONGEST_PAUSE_S, RETRY, download

pytestmark = pytest.mark.server

DATA = os.urandom(3_000_000)
DIGEST = hashlib.sha256(DATA).hexdigest()
PATIENT_S = (UNREACHED_S, UNREACHED_S)
"""For a server that is slow because the machine is busy."""

fetch = partial(download, retry=RETRY.new(total=2, backoff_factor=0.01), timeout_s=PATIENT_S)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as server:
        server.files["set.zip"] = DATA
        yield server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "set.zip"


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_file_arrives_whole(server: FileServer, target: Path) -> None:
    assert fetch(f"{server.url}/set.zip", target) == DIGEST
    assert target.read_bytes() == DATA
    assert visible(target.parent) == ["set.zip"]


def test_what_is_there_is_not_downloaded_again(server: FileServer, target: Path) -> None:
    for _ in range(2):
        assert fetch(f"{server.url}/set.zip", target, DIGEST) == DIGEST
    assert len(server.requests) == 1


@pytest.mark.parametrize("cut", [0, 1, 1_500_000, 2_999_999])
def test_a_connection_that_breaks_is_taken_up_again(server: FileServer, target: Path, cut: int) -> None:
    server.faults = [Fault(cut=cut)]
    assert fetch(f"{server.url}/set.zip", target) == DIGEST
    first, second = server.ranges
    begun = int(second.removeprefix("bytes=").rstrip("-")) if second else 0
    assert first is None
    assert cut - CHUNK_BYTES < begun <= cut


def test_another_process_goes_on_where_one_was_killed(server: FileServer, target: Path) -> None:
    server.faults = [Fault(cut=1_048_576), *[Fault(status=503)] * 3]
    with pytest.raises(FetchError, match="503"):
        fetch(f"{server.url}/set.zip", target)
    assert target.with_name("set.zip.part").stat().st_size == 1_048_576
    assert fetch(f"{server.url}/set.zip", target) == DIGEST
    assert server.ranges[-1] == "bytes=1048576-"


def test_a_server_that_stalls_is_asked_again(server: FileServer, target: Path) -> None:
    server.faults = [Fault(cut=524_288, stalls=True)]
    # So short that a good answer may seem to stall as well, and is asked for again.
    hasty = RETRY.new(total=1000, backoff_factor=0)
    assert download(f"{server.url}/set.zip", target, retry=hasty, timeout_s=(UNREACHED_S, 0.3)) == DIGEST
    assert len(server.requests) > 1


def test_a_server_without_ranges_starts_over(server: FileServer, target: Path) -> None:
    server.faults = [Fault(cut=524_288), Fault(deaf=True)]
    assert fetch(f"{server.url}/set.zip", target) == DIGEST


def test_without_a_version_nothing_is_continued(server: FileServer, target: Path) -> None:
    server.faults = [Fault(cut=524_288, headers={"ETag": ""})]
    assert fetch(f"{server.url}/set.zip", target) == DIGEST
    assert server.ranges == [None, None]


def test_a_weak_tag_is_no_version(server: FileServer, target: Path) -> None:
    server.faults = [Fault(cut=524_288, headers={"ETag": 'W/"1"', "Last-Modified": "today"})]
    fetch(f"{server.url}/set.zip", target)
    assert server.requests[1][1]["If-Range"] == "today"


def test_a_file_that_changes_midway_is_taken_from_its_start(server: FileServer, target: Path) -> None:
    other = os.urandom(2_000_000)
    server.faults = [Fault(cut=524_288), Fault(body=other)]
    assert fetch(f"{server.url}/set.zip", target) == hashlib.sha256(other).hexdigest()
    assert target.read_bytes() == other


def test_a_part_of_another_version_is_not_appended(server: FileServer, target: Path) -> None:
    # A server that knows Range but not If-Range.
    server.faults = [Fault(cut=524_288), Fault(headers={"ETag": '"other"'})]
    assert fetch(f"{server.url}/set.zip", target) == DIGEST
    assert server.ranges == [None, "bytes=524288-", None]


@pytest.mark.parametrize("where", ["bytes 0-2999999/3000000", "bytes 400000-2999999/3000000", ""])
def test_a_part_from_elsewhere_is_not_appended(server: FileServer, target: Path, where: str) -> None:
    server.faults = [Fault(cut=524_288), Fault(headers={"Content-Range": where})]
    assert fetch(f"{server.url}/set.zip", target) == DIGEST


def test_a_range_that_cannot_be_satisfied_starts_over(server: FileServer, target: Path) -> None:
    server.faults = [Fault(cut=524_288), Fault(status=416)]
    assert fetch(f"{server.url}/set.zip", target) == DIGEST
    assert server.ranges == [None, "bytes=524288-", None]


@pytest.fixture
def arrived(server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that a process had of a file when it was killed, just before it could give it its name."""

    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("zoo.remote.download._PartialFile.rename_to", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch(f"{server.url}/set.zip", target)
    server.requests.clear()
    return target.with_name("set.zip.part")


def test_what_has_arrived_whole_is_not_downloaded_again(
    server: FileServer, target: Path, arrived: Path
) -> None:
    assert fetch(f"{server.url}/set.zip", target, DIGEST) == DIGEST
    assert server.requests == []
    assert visible(target.parent) == ["set.zip"]


def test_what_has_arrived_whole_is_checked(server: FileServer, target: Path, arrived: Path) -> None:
    arrived.write_bytes(bytes(len(DATA)))
    with pytest.raises(FetchError, match=DIGEST):
        fetch(f"{server.url}/set.zip", target, DIGEST)
    assert visible(target.parent) == []


def test_a_length_that_is_a_lie_is_found(server: FileServer, target: Path) -> None:
    server.faults = [Fault(headers={"Content-Length": "3000001"})] * 9
    with pytest.raises(FetchError, match="IncompleteRead"):
        fetch(f"{server.url}/set.zip", target)
    assert not target.exists()


def test_a_server_that_names_no_length_and_hangs_up_is_asked_again(server: FileServer, target: Path) -> None:
    server.faults = [Fault(cut=1_048_576, headers={"Content-Length": ""})]
    assert fetch(f"{server.url}/set.zip", target, DIGEST, nbytes=len(DATA)) == DIGEST
    assert server.ranges == [None, "bytes=1048576-"]


def test_a_file_that_is_known_may_be_called_a_page(server: FileServer, target: Path) -> None:
    server.faults = [Fault(headers={"Content-Type": "text/html"})]
    assert fetch(f"{server.url}/set.zip", target, DIGEST) == DIGEST


def test_a_server_that_is_busy_is_asked_again_when_it_says(server: FileServer, target: Path) -> None:
    server.faults = [Fault(status=429, headers={"Retry-After": "0"}), Fault(status=500)]
    assert fetch(f"{server.url}/set.zip", target) == DIGEST


def test_no_server_can_ask_for_a_long_pause() -> None:
    response = HTTPResponse(status=503, headers={"Retry-After": "3600"})
    assert RETRY.get_retry_after(response) == LONGEST_PAUSE_S


@pytest.mark.parametrize("status", [404, 403, 410, 204])
def test_a_plain_no_is_not_argued_with(server: FileServer, target: Path, status: int) -> None:
    server.faults = [Fault(status=status)]
    with pytest.raises(FetchError, match=f"{status}"):
        fetch(f"{server.url}/set.zip", target)
    assert len(server.requests) == 1


def test_a_web_page_is_no_file(server: FileServer, target: Path) -> None:
    server.faults = [Fault(body=b"<html>Please log in", headers={"Content-Type": "text/html; charset=utf-8"})]
    with pytest.raises(FetchError, match="web page"):
        fetch(f"{server.url}/set.zip", target)
    assert visible(target.parent) == []


def test_a_redirect_out_of_the_web_is_refused(server: FileServer, target: Path) -> None:
    server.faults = [Fault(status=302, headers={"Location": "file:///etc/passwd"})]
    with pytest.raises(FetchError, match="InvalidSchema"):
        fetch(f"{server.url}/set.zip", target)


def test_a_redirect_in_the_web_is_followed(server: FileServer, target: Path) -> None:
    server.faults = [Fault(status=302, headers={"Location": "/set.zip"})]
    assert fetch(f"{server.url}/moved.zip", target) == DIGEST


def test_nobody_at_home_is_an_error(target: Path) -> None:
    with closed_port() as port, pytest.raises(FetchError, match="ConnectionError"):
        fetch(f"http://127.0.0.1:{port}/set.zip", target)


def test_another_file_than_recorded_is_refused(server: FileServer, target: Path) -> None:
    with pytest.raises(FetchError, match=DIGEST):
        fetch(f"{server.url}/set.zip", target, "0" * 64)
    assert visible(target.parent) == []


def test_a_file_that_was_changed_here_is_refused(server: FileServer, target: Path) -> None:
    fetch(f"{server.url}/set.zip", target)
    target.write_bytes(b"other")
    with pytest.raises(FetchError, match=str(target)):
        fetch(f"{server.url}/set.zip", target, DIGEST)


def test_a_disk_that_is_too_small_is_told_before(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr("zoo.remote.download.shutil.disk_usage", lambda folder: usage)
    with pytest.raises(FetchError, match="3 MB"):
        fetch(f"{server.url}/set.zip", target)
    assert not target.with_name("set.zip.part").exists()


def test_a_disk_that_fills_up_is_told(server: FileServer, target: Path) -> None:
    with pytest.raises(FetchError, match="No space left on device"):
        fetch(f"{server.url}/set.zip", target, on_bytes=full)


def test_two_at_once_download_once(server: FileServer, target: Path) -> None:
    digests: list[str] = []

    def one() -> None:
        digests.append(fetch(f"{server.url}/set.zip", target))

    threads = [threading.Thread(target=one, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digests == [DIGEST] * 4
    assert len(server.requests) == 1


def test_the_first_note_of_a_part_may_be_damaged(server: FileServer, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("set.zip.part").write_bytes(b"half")
    target.with_name("set.zip.part.json").write_text("{")
    assert fetch(f"{server.url}/set.zip", target) == DIGEST
