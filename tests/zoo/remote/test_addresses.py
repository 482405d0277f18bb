"""References by place: zoos and entries in buckets, tar files, DVC repositories, the Hub and MLflow."""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hub_server import serve_hub

import no_network
import zoo
from file_server import serving
from no_network import go_offline
from zoo.entry import Entry
from zoo.errors import EntryNotFoundError, FetchError, IntegrityError, ManifestError
from zoo.manifest import MANIFEST, WEIGHTS
from zoo.remote.files import join_url
from zoo.remote.remote_zoo import RemoteZoo
from zoo.remote.sources import add_source

pytestmark = pytest.mark.server


def same(pulled: Entry, entry: Entry) -> bool:
    return pulled.manifest == entry.manifest and pulled.contents() == entry.contents()


def entry_files(entry: Entry) -> dict[str, bytes]:
    return entry.contents() | {MANIFEST: (entry.folder / MANIFEST).read_bytes()}


@pytest.mark.parametrize(
    ("url", "joined"),
    [
        ("s3://bucket/zoo", "s3://bucket/zoo/x"),
        ("/shared/zoo", "/shared/zoo/x"),
        ("dvc://zoo::https://host/repo", "dvc://zoo/x::https://host/repo"),
        ("simplecache::s3://bucket/zoo", "simplecache::s3://bucket/zoo/x"),
        ("zip://::/shared/zoo.zip", "zip:///x::/shared/zoo.zip"),
    ],
)
def test_a_file_of_a_chained_address_lies_in_its_first_part(url: str, joined: str) -> None:
    assert join_url(url, "x") == joined


def test_a_zoo_in_a_folder_is_named_by_a_path(
    entry: Entry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RemoteZoo(str(folder)).push(entry, ["stable"])
    monkeypatch.chdir(folder.parent)
    for ref in ("shared/tiny@stable", "./shared/tiny@stable", f"{folder}/tiny@{entry.version}"):
        assert same(zoo.resolve(ref), entry)
        assert same(zoo.pull(ref), entry)
    with pytest.raises(EntryNotFoundError, match="has no other@latest"):
        zoo.resolve("shared/other")
    with pytest.raises(EntryNotFoundError, match=r"without a manifest\.json"):
        zoo.resolve("nowhere/tiny")


def test_a_name_is_no_path(entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes the current folder a zoo does not say what a name means."""
    RemoteZoo(str(tmp_path / "trap")).push(entry, ["stable"])
    monkeypatch.chdir(tmp_path / "trap")
    with pytest.raises(EntryNotFoundError):
        zoo.resolve("tiny@stable")
    assert zoo.resolve("denoise@1.0.0").name == "denoise"
    assert same(zoo.resolve("./tiny@stable"), entry)


def test_the_place_of_a_zoo_is_no_entry(
    entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (f"{tmp_path}/zoo.tar", "memory://places/zoo"):
        RemoteZoo(place).push(entry)
        RemoteZoo(place).pull("tiny")
        with pytest.raises(FetchError, match="expected a zoo"):
            zoo.resolve(place)


def test_a_local_file_is_read_each_time(entry: Entry, publish: Callable[..., Entry], tmp_path: Path) -> None:
    path = tmp_path / "tiny.tar"
    for each in (entry, publish(description="Other words.")):
        path.unlink(missing_ok=True)
        make_tar(path, entry_files(each), {})
        assert same(zoo.resolve(str(path)), each)


def test_a_push_mends_a_damaged_tar_file(entry: Entry, tmp_path: Path) -> None:
    path = tmp_path / "zoo.tar"
    RemoteZoo(str(path)).push(entry)
    weights = entry.contents()[WEIGHTS]
    path.write_bytes(path.read_bytes().replace(weights, bytes(len(weights))))
    with pytest.raises(FetchError, match="push the entry again"):
        RemoteZoo(str(path)).pull("tiny")
    RemoteZoo(str(path)).push(entry)
    assert same(RemoteZoo(str(path)).pull("tiny"), entry)


def test_a_tar_file_promises_no_memory(entry: Entry, tmp_path: Path) -> None:
    path, files = tmp_path / "tiny.tar", entry_files(entry)
    manifest = json.loads(files[MANIFEST]) | {"version": "1.0.0"}
    next(record for record in manifest["files"] if record["path"] == WEIGHTS)["size"] = 2**45
    make_tar(path, files | {MANIFEST: json.dumps(manifest).encode()}, {})
    with pytest.raises(FetchError, match="got another"):
        zoo.resolve(str(path))


def test_a_zoo_in_a_tar_file(
    entry: Entry, publish: Callable[..., Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "zoo.tar"
    RemoteZoo(str(path)).push(entry)
    before = path.read_bytes()
    RemoteZoo(str(path)).push(entry)
    assert path.read_bytes() == before
    RemoteZoo(str(path)).push(other := publish(name="other"))
    go_offline(monkeypatch)  # no network for a file of this machine
    assert same(zoo.resolve(f"{path}/tiny"), entry)
    assert same(RemoteZoo(str(path)).pull("other"), other)
    add_source("stick", str(path))
    assert same(zoo.resolve("other"), other)
    with tarfile.open(path) as tar:
        assert {member.mode for member in tar} == {0o644}


def test_a_tar_file_of_a_zoo_s_folder(entry: Entry, folder: Path, tmp_path: Path) -> None:
    RemoteZoo(str(folder)).push(entry)
    subprocess.run(["tar", "-cf", str(tmp_path / "zoo.tar"), "-C", str(folder), "."], check=True)
    assert same(zoo.resolve(f"{tmp_path}/zoo.tar/tiny"), entry)


def test_a_tar_file_of_an_entry(entry: Entry, tmp_path: Path) -> None:
    path = tmp_path / "tiny.tar"
    subprocess.run(["tar", "-cf", str(path), "-C", str(entry.folder), "."], check=True)
    assert same(zoo.resolve(str(path)), entry)
    assert zoo.load(str(path)).version == entry.version


def make_tar(path: Path, files: dict[str, bytes], links: dict[str, str]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)


def test_nothing_of_a_tar_file_is_unpacked(entry: Entry, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(entry.contents()[WEIGHTS])
    files = entry_files(entry)
    del files[WEIGHTS]
    path = tmp_path / "evil.tar"
    make_tar(path, files | {"../escaped": b"x", str(tmp_path / "absolute"): b"x"}, {WEIGHTS: str(secret)})
    with pytest.raises(FetchError, match=rf"expected {WEIGHTS} .* got none"):
        zoo.resolve(str(path))
    assert not [name for name in ("escaped", "absolute") if list(tmp_path.rglob(name))]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:100], "uncompressed tar file"),
        (lambda data: b"\x1f\x8b" + data, "uncompressed tar file"),
        (lambda data: data.replace(b"A toy.", b"A car."), "edited"),
        (lambda data: data[: len(data) // 2], "damaged|uncompressed|got none|got another"),
        (lambda data: b"", "uncompressed tar file|found none"),
    ],
)
def test_a_damaged_tar_file_is_told(
    damage: Callable[[bytes], bytes], message: str, entry: Entry, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.tar"
    make_tar(path, entry_files(entry), {})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises((FetchError, IntegrityError), match=message):
        zoo.resolve(str(path))


def test_an_entry_behind_a_web_server(
    entry: Entry, publish: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as server:
        server.files = {f"models/tiny/{name}": data for name, data in entry_files(entry).items()}
        ref = f"{server.url}/models/tiny"
        assert same(zoo.resolve(ref), entry)
        asked = len(server.requests)
        assert zoo.load(f"{ref}@{entry.version}").version == entry.version
        assert len(server.requests) == asked
        other = publish(description="Other words.")
        server.files = {f"models/tiny/{name}": data for name, data in entry_files(other).items()}
        assert same(zoo.resolve(ref), entry)
        assert same(zoo.pull(ref), other)
        assert same(zoo.resolve(ref), other)  # the newest that was pulled
        with pytest.raises(IntegrityError, match=r"expected version 9\.9\.9"):
            zoo.pull(f"{ref}@9.9.9")
        with pytest.raises(FetchError, match="expected a zoo or an entry"):
            zoo.pull(f"{server.url}/models/huge")
        server.files[f"models/tiny/{WEIGHTS}"] = b"other"
        monkeypatch.setenv("TUNABLE_ZOO_CACHE", f"{os.environ['TUNABLE_ZOO_CACHE']}2")
        with pytest.raises(FetchError):
            zoo.pull(ref)
        go_offline(monkeypatch)
        with pytest.raises(EntryNotFoundError, match="TUNABLE_OFFLINE"):
            zoo.resolve(ref)


@pytest.mark.slow
def test_a_zoo_in_a_bucket(entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from s3_server import make_bucket, serve_s3  # its imports take seconds

    with serve_s3() as endpoint, make_bucket(endpoint, monkeypatch, tmp_path) as client:
        monkeypatch.setenv("TUNABLE_ZOO_CACHE", str(tmp_path / "cache"))
        RemoteZoo("s3://data/zoo").push(entry, ["stable"])
        keys = {item["Key"] for item in client.list_objects_v2(Bucket="data")["Contents"]}
        assert keys >= {"zoo/index.json", *(f"zoo/{record.sha256}" for record in entry.manifest.files)}
        assert same(zoo.resolve("s3://data/zoo/tiny@stable"), entry)
        with pytest.raises(FetchError, match="s3://absent/zoo"):
            RemoteZoo("s3://absent/zoo").push(entry)
        for name, data in entry_files(entry).items():
            client.put_object(Bucket="data", Key=f"alone/{name}", Body=data)
        assert same(zoo.resolve("s3://data/alone"), entry)


def in_another_process(code: str, **environment: str) -> str:
    """What a program prints; of the Hub, because its client reads the environment when it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_an_entry_on_the_hub(entry: Entry, tmp_path: Path) -> None:
    files = entry_files(entry) | {".gitattributes": b"*.safetensors filter=lfs"}
    with serve_hub(files) as address:
        place = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_DISABLE_TELEMETRY": "1"}
        code = (
            "import zoo\n"
            "for ref in ('hf://team/tiny', 'hf://team/tiny@v1'):\n"
            "    print(zoo.load(ref).version, zoo.resolve(ref).folder)\n"
            "try:\n"
            "    zoo.load('hf://team/huge')\n"
            "except zoo.FetchError as error:\n"
            "    print(error)\n"
        )
        first, second, refused = in_another_process(code, **place).splitlines()
    for line in (first, second):
        version, _, pulled = line.partition(" ")
        assert version == entry.version
        assert same(Entry.open(Path(pulled)), entry)
    assert refused.startswith("expected a zoo or an entry at hf://team/huge")
    # The server has stopped, and the program could not ask it.
    offline = in_another_process(
        "import pytest\n"
        "from no_network import go_offline\n"
        "with pytest.MonkeyPatch.context() as patch:\n"
        "    go_offline(patch)\n"
        "    import zoo\n"
        "    print(zoo.resolve('hf://team/tiny').version)\n",
        PYTHONPATH=os.pathsep.join([str(Path(no_network.__file__).parent), *sys.path]),
    )
    assert offline == entry.version


@pytest.mark.slow
def test_a_zoo_that_dvc_tracks(entry: Entry, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    RemoteZoo(str(repository / "zoo")).push(entry)

    def run(*command: str) -> None:
        subprocess.run(command, cwd=repository, check=True, capture_output=True)

    identity = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    run("git", "init", "--quiet")
    run(sys.executable, "-m", "dvc", "init", "--quiet")
    run(sys.executable, "-m", "dvc", "remote", "add", "--default", "store", str(tmp_path / "remote"))
    run(sys.executable, "-m", "dvc", "add", "--quiet", "zoo")
    run(sys.executable, "-m", "dvc", "push", "--quiet")
    run("git", "add", ".")
    run("git", *identity, "commit", "--quiet", "--message", "Zoo")
    run("git", "clone", "--quiet", ".", str(tmp_path / "clone"))  # with neither the files nor their cache
    assert same(zoo.resolve(f"dvc://zoo::{tmp_path}/clone/tiny"), entry)


@pytest.fixture
def registry(entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of a registry whose model ``tiny`` has an entry as version 1, ``@champion``."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.create_experiment("zoo", artifact_location=str(tmp_path / "artifacts"))
    run = client.create_run(experiment).info
    client.log_artifacts(run.run_id, str(entry.folder), "entry")
    client.create_registered_model("tiny")
    made = client.create_model_version(
        "tiny", f"{run.artifact_uri}/entry", run.run_id, tags={"zoo_version": entry.version}
    )
    client.set_registered_model_alias("tiny", "champion", made.version)
    return client


@pytest.mark.slow
def test_an_entry_in_mlflow_s_registry(
    registry: Any, entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert same(zoo.resolve("models:/tiny@champion"), entry)
    assert zoo.load("models:/tiny/1").version == entry.version
    with pytest.raises(EntryNotFoundError, match="no models:/tiny@absent"):
        zoo.resolve("models:/tiny@absent")
    with pytest.raises(EntryNotFoundError, match="no models:/huge/1"):
        zoo.pull("models:/huge/1")
    with pytest.raises(EntryNotFoundError, match=r"expected models:/name@alias"):
        zoo.resolve("models:/tiny")
    # What is registered under that name may be anything.
    other = tmp_path / "other"
    other.mkdir()
    (other / "MLmodel").write_text("flavors: {}")
    made = registry.create_model_version("tiny", str(other))
    with pytest.raises(ManifestError, match="expected an entry of the zoo"):
        zoo.resolve(f"models:/tiny/{made.version}")
    # Nor does the tag tell one content from another under one version.
    zoo.promote(entry.folder, "1.0.0", target=zoo.Store(tmp_path / "promoted"))
    promoted = zoo.Store(tmp_path / "promoted").open("tiny", "1.0.0")
    changed = zoo.Store(tmp_path / "changed").publish(
        promoted.contents(), promoted.manifest.replace(description="Other words.")
    )
    first, second = (
        registry.create_model_version("tiny", str(e.folder)).version for e in (promoted, changed)
    )
    assert same(zoo.resolve(f"models:/tiny/{first}"), promoted)
    with pytest.raises(IntegrityError, match=r"another tiny@1\.0\.0 than the one that was pulled"):
        zoo.resolve(f"models:/tiny/{second}")
    with monkeypatch.context() as patch:
        go_offline(patch)
        assert same(zoo.resolve("models:/tiny@champion"), entry)
        with pytest.raises(FetchError, match="TUNABLE_OFFLINE"):
            zoo.resolve("models:/tiny@absent")
    [pulled] = [path for path in (tmp_path / "cache").rglob(f"{entry.version}/{MANIFEST}")]
    pulled.unlink()
    assert same(zoo.resolve("models:/tiny@champion"), entry)  # fetched again
    [stored] = tmp_path.rglob(f"artifacts/**/{WEIGHTS}")
    stored.write_bytes(b"other")
    assert same(zoo.resolve("models:/tiny@champion"), entry)  # it is in the cache
    monkeypatch.setenv("TUNABLE_ZOO_CACHE", str(tmp_path / "fresh"))
    with pytest.raises(IntegrityError, match="expected"):
        zoo.resolve("models:/tiny@champion")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/absent.db")
    with pytest.raises(FetchError, match="set MLFLOW_TRACKING_URI"):
        zoo.resolve("models:/tiny@champion")
    assert not (tmp_path / "absent.db").exists()
