"""``tunable zoo pull``, ``push``, ``sources`` and ``cache``."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from typer.testing import Result

import zoo
from no_network import forbid_connections


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TUNABLE_ZOO_CONFIG", "TUNABLE_ZOO_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))


def lines(result: Result) -> list[str]:
    assert result.exit_code == 0, result.stderr
    return result.stdout.splitlines()


@pytest.fixture
def shared(tunable: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that a colleague pushed ``tiny`` to; here it is in no store."""
    folder = tmp_path / "shared"
    aliases = ("--alias", "latest", "--alias", "stable")
    [said] = lines(tunable("zoo", "push", "tiny", os.fspath(folder), *aliases))
    assert said.endswith(os.fspath(folder))
    monkeypatch.setenv("TUNABLE_ZOO_STORE", str(tmp_path / "none"))
    return folder


def test_an_entry_of_a_source_is_at_hand(
    tunable: Callable[..., Result], shared: Path, photo: Path, store: zoo.Store
) -> None:
    assert tunable("zoo", "show", "tiny").exit_code == 1
    assert lines(tunable("zoo", "add-source", "team", os.fspath(shared))) == []
    assert lines(tunable("zoo", "sources"))[1].split() == ["team", os.fspath(shared), "none"]
    known = json.loads(tunable("zoo", "sources", "--json").stdout)
    assert known == {"team": {"url": os.fspath(shared), "key": ""}}
    [listed] = json.loads(tunable("zoo", "search", "tests", "--control", "level", "--json").stdout)
    assert (listed["name"], listed["url"]) == ("tiny", os.fspath(shared))
    assert lines(tunable("zoo", "search", "tiny"))[1].split()[-1] == os.fspath(shared)
    assert tunable("apply", "tiny@stable", os.fspath(photo), "-o", "out.png").exit_code == 0
    [pulled] = json.loads(tunable("zoo", "cache", "ls", "--json").stdout)
    assert (pulled["name"], pulled["url"]) == ("tiny", os.fspath(shared))
    assert Path(pulled["folder"]).name == store.versions("tiny")[0]
    assert "team" not in lines(tunable("zoo", "cache", "ls"))[1]

    shutil.rmtree(shared)  # from now on nothing is asked
    assert lines(tunable("zoo", "cache", "verify"))[0].endswith("as it was published")
    assert any(line.startswith("tiny@") for line in lines(tunable("zoo", "list")))
    assert lines(tunable("zoo", "cache", "prune")) == []
    lines(tunable("zoo", "remove-source", "team"))
    assert tunable("zoo", "show", "tiny").exit_code == 1
    lines(tunable("zoo", "cache", "prune", "--all"))
    assert json.loads(tunable("zoo", "cache", "ls", "--json").stdout) == []


def test_a_pull_takes_what_is_newest(tunable: Callable[..., Result], shared: Path, store: zoo.Store) -> None:
    lines(tunable("zoo", "add-source", "team", os.fspath(shared)))
    [said] = lines(tunable("zoo", "pull", "tiny"))
    newer = zoo.promote("tiny", "1.0.0", target=zoo.Store(shared.with_name("own")), stores=[store])
    zoo.RemoteZoo(os.fspath(shared)).push(newer)
    assert zoo.resolve("tiny").version in said
    assert "tiny@1.0.0" in lines(tunable("zoo", "pull", "tiny"))[0]
    assert zoo.resolve("tiny").version == "1.0.0"
    assert lines(tunable("zoo", "pull", f"file://{shared}/tiny@stable")) == [said]


def test_faults_are_told_in_a_sentence(
    tunable: Callable[..., Result], shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(*arguments: str) -> str:
        result = tunable(*arguments)
        assert result.exit_code == 1
        assert len(result.stderr.splitlines()) == 1
        return result.stderr

    assert "tunable zoo add-source NAME URL" in told("zoo", "pull", "tiny")
    assert "found no index.json" in told("zoo", "add-source", "team", os.fspath(shared / "other"))
    lines(tunable("zoo", "add-source", "team", os.fspath(shared)))
    assert "it has" in told("zoo", "pull", "tiny@9.9.9")
    assert "has no huge@latest; it has tiny" in told("zoo", "pull", "huge")
    monkeypatch.setenv("TUNABLE_OFFLINE", "0")  # so that what the option sets is undone
    forbid_connections(monkeypatch)
    elsewhere = "http://127.0.0.1:9/zoo"
    for arguments in (
        ("zoo", "pull", f"{elsewhere}/tiny"),
        ("zoo", "add-source", "web", elsewhere),
        ("apply", f"{elsewhere}/tiny", "in.png", "-o", "out.png"),
    ):
        assert "TUNABLE_OFFLINE is set" in told("--offline", *arguments)
    assert lines(tunable("zoo", "pull", "tiny"))  # from a folder of this machine


def test_damage_in_the_cache_is_found(tunable: Callable[..., Result], shared: Path) -> None:
    lines(tunable("zoo", "pull", f"file://{shared}/tiny"))
    [pulled] = json.loads(tunable("zoo", "cache", "ls", "--json").stdout)
    (Path(pulled["folder"]) / "model.safetensors").write_bytes(b"other")
    result = tunable("zoo", "cache", "verify")
    assert result.exit_code == 1
    assert "expected" in result.stderr
    assert "1 damaged" in result.stderr


def test_a_signed_zoo(tunable: Callable[..., Result], shared: Path, store: zoo.Store, tmp_path: Path) -> None:
    key, signed = tmp_path / "key", os.fspath(tmp_path / "signed")
    private = Ed25519PrivateKey.generate()
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    key.with_suffix(".pub").write_bytes(public)
    entry = os.fspath(store.open("tiny").folder)
    lines(tunable("zoo", "push", entry, signed, "--sign-key", os.fspath(key)))
    lines(tunable("zoo", "add-source", "team", signed, "--key", os.fspath(key.with_suffix(".pub"))))
    assert lines(tunable("zoo", "sources"))[1].split()[2] == "ssh-ed25519"
    assert lines(tunable("zoo", "pull", "tiny"))
    lines(tunable("zoo", "push", entry, os.fspath(shared)))
    result = tunable("zoo", "push", entry, signed, "--alias", "stable")
    assert (result.exit_code, "--sign-key" in result.stderr) == (1, True)
    shutil.copy(shared / "index.json", signed)
    result = tunable("zoo", "pull", "tiny")
    assert (result.exit_code, "signed by ssh-ed25519" in result.stderr) == (1, True)


def test_aliases_and_what_they_pointed_at(tunable: Callable[..., Result], shared: Path) -> None:
    place = ("--url", os.fspath(shared))
    known = json.loads(tunable("zoo", "aliases", "tiny", *place, "--json").stdout)
    assert known["aliases"].keys() == {"latest", "stable"}
    assert [move["alias"] for move in known["history"]] == ["latest", "stable"]
    assert lines(tunable("zoo", "aliases", "tiny", *place))[1].split()[0] == "latest"
    lines(tunable("zoo", "pull", f"file://{shared}/tiny"))
    assert "no model 'tiny'" in tunable("zoo", "aliases", "tiny").stderr
    lines(tunable("zoo", "add-source", "team", os.fspath(shared)))
    assert lines(tunable("zoo", "aliases", "tiny"))
    result = tunable("zoo", "aliases", "huge", *place)
    assert (result.exit_code, "no model 'huge'" in result.stderr) == (1, True)


def test_a_version_is_deprecated(
    tunable: Callable[..., Result], shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = os.fspath(shared)
    lines(tunable("zoo", "add-source", "team", place))
    assert "--reason" in tunable("zoo", "deprecate", "tiny", place).stderr
    assert "--reason" in tunable("zoo", "deprecate", "tiny", place, "--reason", "x", "--undo").stderr
    why = ("--reason", "Too small.", "--replacement", "large")
    assert lines(tunable("zoo", "deprecate", "tiny@stable", place, *why))[0].startswith("tiny@")
    assert json.loads(tunable("zoo", "search", "tiny", "--json").stdout) == []
    assert lines(tunable("zoo", "pull", "tiny"))
    assert "deprecated: Too small; use large" in caplog.text
    assert "Too small; use large" in tunable("zoo", "show", "tiny").stdout
    lines(tunable("zoo", "deprecate", "tiny", place, "--undo"))
    assert len(json.loads(tunable("zoo", "search", "tiny", "--json").stdout)) == 1
    assert "has no huge" in tunable("zoo", "deprecate", "huge", place, *why).stderr
