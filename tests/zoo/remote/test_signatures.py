"""Signed zoos: what another signed, changed or kept from long ago is refused."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

import zoo
from zoo.entry import Entry
from zoo.errors import IntegrityError, ManifestError, NoZooError
from zoo.remote.index import INDEX
from zoo.remote.remote_zoo import RemoteZoo
from zoo.remote.signatures import derive_public_key, read_public_key
from zoo.remote.sources import add_source, find_zoo, list_sources


def make_key(path: Path, form: PrivateFormat = PrivateFormat.OpenSSH) -> Path:
    key = Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    path.with_suffix(".pub").write_bytes(public + b" keeper@team\n")
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "key")


@pytest.fixture
def signed(entry: Entry, folder: Path, key: Path) -> RemoteZoo:
    """A signed zoo with one entry, as those see it who have its public key."""
    RemoteZoo(str(folder)).push(entry, private_key=key)
    return RemoteZoo(str(folder), key=read_public_key(key.with_suffix(".pub")))


@pytest.mark.parametrize("form", [PrivateFormat.OpenSSH, PrivateFormat.PKCS8])
def test_a_signed_zoo_is_pulled_from(form: PrivateFormat, entry: Entry, folder: Path, tmp_path: Path) -> None:
    key = make_key(tmp_path / "key", form)
    public = read_public_key(key.with_suffix(".pub"))
    assert public == derive_public_key(key)
    assert len(public.split()) == 2
    RemoteZoo(str(folder)).push(entry, private_key=key)
    assert RemoteZoo(str(folder), key=public).pull("tiny").manifest == entry.manifest
    add_source("team", str(folder), public)
    assert list_sources()["team"].key == public
    assert zoo.resolve("tiny").manifest == entry.manifest


def rewrite(folder: Path, change: Callable[[dict[str, object]], None]) -> None:
    index = json.loads((folder / INDEX).read_bytes())
    change(index)
    (folder / INDEX).write_text(json.dumps(index))


FORGERIES: dict[str, Callable[[dict[str, object]], None]] = {
    "no signature": lambda index: index.pop("signature"),
    "an empty one": lambda index: index.update(signature=None),
    "no base64": lambda index: index.update(signature={"key": "", "value": "§"}),
    "another alias": lambda index: index["models"]["tiny"].update(aliases={}),  # type: ignore[index]
    "another serial": lambda index: index.update(serial=7),
    "a new field": lambda index: index.update(owner="me"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_was_changed_since_is_refused(name: str, signed: RemoteZoo, folder: Path) -> None:
    rewrite(folder, FORGERIES[name])
    add_source("team", str(folder), signed.key)
    for pull in (
        lambda: signed.pull("tiny"),
        lambda: zoo.resolve("tiny"),
        lambda: zoo.pull(f"{folder}/tiny"),
    ):
        with pytest.raises(IntegrityError, match="signed by ssh-ed25519"):
            pull()
    assert [found for found in zoo.search_models("tiny") if found.url] == []


def test_the_order_and_spaces_of_an_index_are_not_signed(signed: RemoteZoo, folder: Path) -> None:
    rewrite(folder, lambda index: None)
    assert signed.pull("tiny").name == "tiny"


def test_another_key_s_signature_is_refused(
    signed: RemoteZoo, entry: Entry, folder: Path, tmp_path: Path
) -> None:
    other = make_key(tmp_path / "other")
    with pytest.raises(IntegrityError, match="signed by ssh-ed25519"):
        RemoteZoo(str(folder)).push(entry, ["stable"], other)
    (folder / INDEX).unlink()
    RemoteZoo(str(folder)).push(entry, private_key=other)
    with pytest.raises(IntegrityError, match="signed by ssh-ed25519"):
        signed.pull("tiny")


def test_a_signed_zoo_asks_who_pushes_for_the_key(
    signed: RemoteZoo, key: Path, folder: Path, publish: Callable[..., Entry]
) -> None:
    other, before = publish(description="Other words."), (folder / INDEX).read_bytes()
    with pytest.raises(ManifestError, match="--sign-key"):
        RemoteZoo(str(folder)).push(other)
    with pytest.raises(ManifestError, match="--sign-key"):
        signed.deprecate("tiny", "latest", "Old.")
    assert (folder / INDEX).read_bytes() == before
    RemoteZoo(str(folder)).push(other, private_key=key)
    assert signed.pull("tiny").manifest == other.manifest
    assert signed.deprecate("tiny", "latest", "Old.", private_key=key) == other.version
    assert signed.read_index().serial == 3


def test_an_old_index_is_not_passed_off_for_the_newest(
    signed: RemoteZoo, key: Path, folder: Path, publish: Callable[..., Entry]
) -> None:
    old = (folder / INDEX).read_bytes()
    signed.push(publish(description="Mended."), private_key=key)
    signed.pull("tiny")
    (folder / INDEX).write_bytes(old)
    for _ in range(2):
        with pytest.raises(IntegrityError, match="written 2 times or more, got one of 1 times"):
            signed.pull("tiny")
        signed.cache.clear()  # which does not forget it


def test_nothing_unsigned_takes_the_place_of_a_signed_zoo(
    signed: RemoteZoo, entry: Entry, folder: Path
) -> None:
    add_source("team", str(folder), signed.key)
    shutil.copytree(entry.folder, folder / "tiny")
    assert zoo.resolve(f"{folder}/tiny").folder != folder / "tiny"
    (folder / INDEX).unlink()
    for refused in (
        lambda: zoo.pull(f"file://{folder}/tiny"),
        lambda: zoo.resolve(f"file://{folder}/tiny@1.0.0"),
    ):
        with pytest.raises(NoZooError):
            refused()


def test_what_was_pulled_before_the_key_was_known_does_not_count(
    entry: Entry, folder: Path, key: Path, publish: Callable[..., Entry]
) -> None:
    RemoteZoo(str(folder)).push(publish(description="Forged."))
    RemoteZoo(str(folder)).pull("tiny")
    (folder / INDEX).unlink()
    RemoteZoo(str(folder)).push(entry, private_key=key)
    add_source("team", str(folder), derive_public_key(key))
    assert zoo.resolve("tiny").manifest == entry.manifest


@pytest.mark.parametrize(
    "url",
    [
        "https://EXAMPLE.org/zoo",
        "https://example.org:443/zoo/",
        "https://example.org//zoo",
        "https://me:secret@example.org/zoo",
    ],
)
def test_a_key_holds_for_every_spelling_of_the_place(url: str) -> None:
    add_source("team", "https://example.org/zoo", "ssh-ed25519 AAAA")
    assert find_zoo(url).key == "ssh-ed25519 AAAA"
    assert find_zoo("https://example.org:8443/zoo").key == find_zoo("https://example.org/zoos").key == ""


def test_no_changed_index_is_signed(
    signed: RemoteZoo, entry: Entry, folder: Path, key: Path, tmp_path: Path
) -> None:
    """What lost its signature may have been changed since."""
    rewrite(folder, FORGERIES["no signature"])
    before = (folder / INDEX).read_bytes()
    for zoo_ in (signed, RemoteZoo(str(folder))):
        with pytest.raises(IntegrityError, match="signed by ssh-ed25519"):
            zoo_.push(entry, ["stable"], key)
    with pytest.raises(ManifestError, match="got no key"):
        signed.push(entry, ["stable"])
    (folder / INDEX).unlink()
    with pytest.raises(ManifestError, match="got ssh-ed25519"):
        signed.push(entry, private_key=make_key(tmp_path / "other"))
    with pytest.raises(ManifestError, match="got no key"):
        signed.push(entry)
    assert not (folder / INDEX).exists()
    assert before


def test_without_cryptography_it_is_said_what_to_install(
    signed: RemoteZoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(zoo.ZooError, match=r"tunable-zoo\[signatures\]"):
        signed.pull("tiny")


def test_what_is_no_key_is_told(tmp_path: Path, entry: Entry, folder: Path) -> None:
    curve = generate_private_key(SECP256R1())
    (tmp_path / "curve").write_bytes(curve.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    (tmp_path / "curve.pub").write_bytes(
        curve.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    )
    locked = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    (tmp_path / "locked").write_bytes(locked)
    (tmp_path / "text").write_text("Hello")
    expected = {
        "curve": "of another kind",
        "locked": "without a passphrase",
        "text": "ssh-keygen -t ed25519",
        "absent": "No such file",
    }
    for name, message in expected.items():
        with pytest.raises(ManifestError, match=message):
            RemoteZoo(str(folder)).push(entry, private_key=tmp_path / name)
    assert not (folder / INDEX).exists()
    for name, message in {"curve.pub": "another kind", "text": "ssh-ed25519", "absent": "No such"}.items():
        with pytest.raises(ManifestError, match=message):
            read_public_key(tmp_path / name)


@pytest.mark.server
@pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="asks OpenSSH for a key, and it is not installed"
)
def test_keys_of_ssh_keygen_serve(entry: Entry, folder: Path, tmp_path: Path) -> None:
    key = tmp_path / "zoo-key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    RemoteZoo(str(folder)).push(entry, private_key=key)
    public = read_public_key(Path(f"{key}.pub"))
    assert RemoteZoo(str(folder), key=public).pull("tiny").manifest == entry.manifest
