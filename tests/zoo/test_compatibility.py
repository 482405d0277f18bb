"""What a version of this library can use is known before any weights are fetched."""

from collections.abc import Callable
from pathlib import Path

import pytest

import zoo
from zoo import compatibility
from zoo.compatibility import COMPATIBLE_SINCE, LibraryRange, find_installed
from zoo.entry import Entry
from zoo.errors import ManifestError
from zoo.manifest import Manifest
from zoo.remote.cache import Cache
from zoo.remote.remote_zoo import RemoteZoo


def test_this_version_can_use_what_it_publishes(entry: Entry) -> None:
    assert entry.manifest.library == LibraryRange(lowest=COMPATIBLE_SINCE)
    entry.manifest.library.check("tiny")


@pytest.mark.parametrize(
    ("installed", "lowest", "highest", "message"),
    [
        ("0.3.0", "0.3.0", None, ""),
        ("0.3.0", "0.2.9", "0.3.0", ""),
        ("0.10.0", "0.9.0", None, ""),
        ("1.0.0rc1", "1.0.0", None, ""),
        ("1.0.0.dev3+local", "1.0.0", "1.0.0", ""),
        ("1.2", "1.2.0", "1.2.0", ""),
        ("1.2rc1", "1.2.0", "1.2.0", ""),
        (None, "9.0.0", None, ""),
        ("0.3.0", "0.3.1", None, "needs tunable-zoo 0.3.1 or later, got 0.3.0; pip install --upgrade"),
        ("0.9.0", "0.10.0", None, "needs tunable-zoo 0.10.0 or later"),
        ("2.0.0", "0.3.0", "1.9.0", r"0.3.0 to 1.9.0, got 2.0.0; .*tunable-zoo==1\.9\.0"),
    ],
)
def test_ranges_of_versions(
    installed: str | None, lowest: str, highest: str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compatibility, "find_installed", lambda: installed)
    wanted = LibraryRange(lowest=lowest, highest=highest)
    if not message:
        wanted.check("tiny")
        return
    with pytest.raises(ManifestError, match=message):
        wanted.check("tiny")


def test_a_manifest_of_a_later_library_is_told_by_its_version(entry: Entry) -> None:
    values = entry.manifest.model_dump(mode="json")
    later = values | {"library": {"lowest": "99.0.0"}, "unknown": 1, "space": {}}
    with pytest.raises(ManifestError, match=r"needs tunable-zoo 99\.0\.0 or later"):
        Manifest.parse(later)
    with pytest.raises(ManifestError, match=r"unknown.*a newer tunable-zoo may know it"):
        Manifest.parse(values | {"unknown": 1})
    for malformed in ("0.3.0", {"lowest": "new"}, {"lowest": "0.3.0", "other": 1}):
        with pytest.raises(ManifestError, match="library"):
            Manifest.parse(values | {"library": malformed})


def test_nothing_is_fetched_of_what_cannot_be_used(
    entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = RemoteZoo(str(tmp_path / "shared"), Cache(tmp_path / "cache"))
    remote.push(entry)
    monkeypatch.setattr(compatibility, "find_installed", lambda: "0.2.0")
    with pytest.raises(ManifestError, match=r"needs tunable-zoo 0\.3\.0 or later, got 0\.2\.0"):
        remote.pull("tiny")
    assert not list((tmp_path / "cache" / "files").glob("[0-9a-f]*"))


def test_entries_of_before_are_used(publish: Callable[..., Entry]) -> None:
    assert find_installed()
    assert zoo.resolve("denoise").manifest.name == "denoise"
