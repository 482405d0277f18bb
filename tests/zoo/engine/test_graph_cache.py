"""Where graphs are kept, and which files are as good as none."""

import os
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from zoo.engine import graph_cache
from zoo.engine.graph_cache import KeptGraph, cache_folder
from zoo.manifest import Manifest

GRAPH = b"a graph, as far as the cache knows"


def test_what_is_written_is_read(kept: KeptGraph, cache: Path) -> None:
    assert kept.read() is None
    kept.write(GRAPH)
    kept.write(GRAPH)
    assert kept.read() == GRAPH
    assert [path.name for path in (cache / "graphs").iterdir()] == [kept.path.name]


def test_only_the_user_can_write_there(kept: KeptGraph) -> None:
    before = os.umask(0o002)
    try:
        kept.write(GRAPH)
    finally:
        os.umask(before)
    assert kept.path.parent.stat().st_mode & 0o777 == 0o700
    assert kept.path.stat().st_mode & 0o777 == 0o600
    assert kept.read() == GRAPH


def test_the_key_is_the_content_and_what_made_the_graph(
    manifest: Manifest, kept: KeptGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted = manifest.replace(version="1.0.0", provenance={"host": "elsewhere"})
    assert KeptGraph.of(promoted) == kept
    assert KeptGraph.of(manifest.replace(description="Another.")).path != kept.path
    monkeypatch.setattr(graph_cache, "version", lambda name: "another")
    assert KeptGraph.of(manifest).path != kept.path


def test_code_that_changed_is_another_key(
    manifest: Manifest, kept: KeptGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_cache, "_code_digest", lambda: "another")
    assert KeptGraph.of(manifest).path != kept.path


@pytest.mark.parametrize("keep", [0, 31, 32, 40])
def test_a_file_cut_short_is_none(kept: KeptGraph, keep: int) -> None:
    kept.write(GRAPH)
    kept.path.write_bytes(kept.path.read_bytes()[:keep])
    assert kept.read() is None


def test_a_damaged_file_is_none(kept: KeptGraph) -> None:
    kept.write(GRAPH)
    kept.path.write_bytes(kept.path.read_bytes().replace(b"graph", b"grapf"))
    assert kept.read() is None


def test_another_entrys_file_is_none(kept: KeptGraph, manifest: Manifest) -> None:
    other = KeptGraph.of(manifest.replace(description="Another."))
    other.write(GRAPH)
    other.path.rename(kept.path)
    assert kept.read() is None


def test_a_huge_file_is_none(kept: KeptGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.write(GRAPH)
    monkeypatch.setattr(graph_cache, "MAX_BYTES", len(GRAPH))
    assert kept.read() is None


def test_a_link_is_none(kept: KeptGraph, tmp_path: Path) -> None:
    kept.write(GRAPH)
    kept.path.rename(tmp_path / "aside")
    kept.path.symlink_to(tmp_path / "aside")
    assert kept.read() is None


def test_a_pipe_is_none(kept: KeptGraph) -> None:
    kept.write(GRAPH)
    kept.path.unlink()
    os.mkfifo(kept.path)
    writer = os.open(kept.path, os.O_RDWR)  # so that opening it to read does not wait
    try:
        assert kept.read() is None
    finally:
        os.close(writer)


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_what_others_may_write_is_none(kept: KeptGraph, mode: int) -> None:
    kept.write(GRAPH)
    kept.path.chmod(mode)
    assert kept.read() is None
    kept.path.chmod(0o600)
    kept.path.parent.chmod(mode | 0o100)
    assert kept.read() is None


def test_what_is_another_users_is_none(kept: KeptGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.write(GRAPH)
    os.chown(kept.path, 12345, -1) if os.getuid() == 0 else monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert kept.read() is None


def test_the_users_cache_is_the_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNABLE_ZOO_CACHE")
    assert cache_folder() == user_cache_path("tunable-zoo") / "graphs"
