"""``tunable zoo``: list, show, verify, promote."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

import zoo
from pipelines.tracking.registry import CHAMPION, register_version
from pipelines.tracking.run_folder import Plan
from pipelines.tracking.server import Server


def test_list_shows_name_version_sliders(tunable: Callable[..., Result], store: zoo.Store) -> None:
    result = tunable("zoo", "list")
    assert result.exit_code == 0, result.stderr
    row = next(line for line in result.stdout.splitlines() if line.startswith("tiny@"))
    assert store.versions("tiny")[0] in row
    assert "denoise 0..1, level 0..50 sigma/255" in row
    assert row.split()[-4:-1] == ["1x", *size_of(store.open("tiny")).split()]


def size_of(entry: zoo.Entry) -> str:
    files = [path for path in entry.folder.iterdir() if path.name != "manifest.json"]
    return f"{sum(path.stat().st_size for path in files) / 2**20:.3g} MiB"


def test_a_model_that_enlarges_and_whose_sliders_share(
    tunable: Callable[..., Result], enlarging: zoo.Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNABLE_ZOO_STORE", str(enlarging.folder.parents[1]))
    row = next(line for line in tunable("zoo", "list").stdout.splitlines() if line.startswith("large@"))
    assert "super-resolution  accuracy 0..1, detail 0..1, calm 0..1 (sum 1)" in row
    assert " 4x " in row
    shown = tunable("zoo", "show", "large").stdout
    assert all(text in shown for text in ("of rank 1", "share a sum of 1", "4x the input", "0.3333"))
    [listed] = [m for m in json.loads(tunable("zoo", "list", "--json").stdout) if m["name"] == "large"]
    assert (listed["scale"], listed["bytes"]) == (4, sum(file.size for file in enlarging.manifest.files))


def test_list_by_task_as_json(tunable: Callable[..., Result]) -> None:
    (listed,) = json.loads(tunable("zoo", "list", "--task", "denoise", "--json").stdout)
    assert (listed["name"], listed["task"]) == ("tiny", "denoise")
    assert json.loads(tunable("zoo", "list", "--task", "colorize", "--json").stdout) == []


def test_show(tunable: Callable[..., Result]) -> None:
    text = tunable("zoo", "show", "tiny").stdout
    for expected in (
        "A network for tests.",
        "Removes noise.",
        "0..50 sigma/255",
        "edsr",
        "31.23",
        "Apache-2.0",
    ):
        assert expected in text


def test_show_json_is_the_manifest(tunable: Callable[..., Result], store: zoo.Store) -> None:
    manifest = json.loads(tunable("zoo", "show", "tiny", "--json").stdout)
    assert zoo.Manifest.parse(manifest) == store.open("tiny").manifest


def test_verify(tunable: Callable[..., Result]) -> None:
    result = tunable("zoo", "verify", "tiny")
    assert result.exit_code == 0
    assert "all as published" in result.stdout


def test_verify_finds_one_flipped_bit(
    tunable: Callable[..., Result], store: zoo.Store, tmp_path: Path
) -> None:
    folder = shutil.copytree(store.open("tiny").folder, tmp_path / "copy")
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    result = tunable("zoo", "verify", folder)
    assert result.exit_code == 1
    assert "SHA-256" in result.stderr


def test_promote(tunable: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = zoo.Store(tmp_path / "bundled")
    monkeypatch.setattr("zoo.publishing.bundled_store", lambda: target)
    result = tunable("zoo", "promote", "tiny", "--version", "1.0.0")
    assert result.exit_code == 0, result.stderr
    assert target.versions("tiny") == ["1.0.0"]
    assert tunable("zoo", "promote", "tiny", "--version", "one").exit_code == 1


def test_the_work_trees_store_comes_first(
    tunable: Callable[..., Result], store: zoo.Store, tmp_path: Path
) -> None:
    (tmp_path / "params.yaml").touch()
    (tmp_path / "dvc.yaml").write_text("stages: {train: {cmd: tunable run train}}")
    shutil.copytree(store.root, tmp_path / "zoo-store")
    assert str(tmp_path / "zoo-store") in tunable("zoo", "show", "tiny").stdout


@pytest.mark.slow
def test_promoting_moves_the_champion_where_the_entry_is_registered(
    tunable: Callable[..., Result],
    store: zoo.Store,
    migrated: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("zoo.publishing.bundled_store", lambda: zoo.Store(tmp_path / "bundled"))
    promote = ("zoo", "promote", "tiny", "--version", "1.0.0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////dev/null/mlflow.db")
    result = tunable(*promote)
    assert (result.exit_code, "repeat" in result.stderr) == (0, True)
    assert zoo.Store(tmp_path / "bundled").versions("tiny") == ["1.0.0"]

    shutil.copy(migrated, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    server, version = Server(tmp_path), store.open("tiny").version
    plan = Plan(name="publish", model="tiny", model_version=version)
    register_version(server, server.claim("k", "run", {}), plan)
    result = tunable(*promote)
    assert (result.exit_code, "tiny@champion" in result.stdout) == (0, True), result.stderr
    with server.connect() as client:
        champion = client.get_model_version_by_alias("tiny", CHAMPION)
    assert (champion.tags["zoo_version"], champion.tags["promoted_as"]) == (version, "1.0.0")
