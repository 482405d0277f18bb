"""Ed25519 signatures of a zoo's index, by the keys that ``ssh-keygen -t ed25519`` makes.

An index names every manifest by hash and a manifest every file, so a signature of the index vouches for each
byte. It is over the index as canonical JSON without its signature. Whoever adds a zoo with its public key
accepts no other index from there, and none that is older than one seen before.
"""

import base64
import binascii
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import strict_json
from zoo.errors import IntegrityError, ManifestError, ZooError
from zoo.remote.index import MAX_BYTES, Index, Signature

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

CONTEXT = b"tunable-zoo index\n"
"""What is signed begins so, so that a signature of something else by that key is none of an index."""


def read_public_key(path: Path) -> str:
    """The Ed25519 public key in a file, in one line as OpenSSH writes it, without its comment.

    Raises:
        ZooError: there is none, or cryptography is not installed.
    """
    words = _read_key_file(path).decode(errors="replace").split()
    text = " ".join(words[:2])
    _parse_public_key(text, str(path))
    return text


def sign_index(index: Index, private_key: Path) -> Index:
    """The index with a signature by an unencrypted Ed25519 private key, of OpenSSH's form or PEM.

    Raises:
        ZooError: there is no such key, or cryptography is not installed.
    """
    key = _load_private_key(private_key)
    unsigned = index.model_copy(update={"signature": None})
    value = key.sign(_signed_bytes(json.loads(unsigned.to_bytes())))
    signature = Signature(key=_format_public_key(key.public_key()), value=base64.b64encode(value).decode())
    return unsigned.model_copy(update={"signature": signature})


def derive_public_key(private_key: Path) -> str:
    """The public key of a private one, as :func:`read_public_key` gives it.

    Raises:
        ZooError: there is no such key, or cryptography is not installed.
    """
    return _format_public_key(_load_private_key(private_key).public_key())


def check_signature(data: bytes, key: str, place: str) -> None:
    """Check that an index is signed by a public key; ``place`` says where it is from.

    Raises:
        IntegrityError: it is not signed, or by another key, or was changed since.
        ZooError: cryptography is not installed, or the key is none.
    """
    public = _parse_public_key(key, place)
    from cryptography.exceptions import InvalidSignature

    values = strict_json.parse_json(data, MAX_BYTES)
    signature = values.get("signature") if isinstance(values, dict) else None
    try:
        said = Signature.model_validate(signature)
        public.verify(base64.b64decode(said.value, validate=True), _signed_bytes(values))
    except (ValueError, binascii.Error, InvalidSignature) as error:
        raise IntegrityError(
            f"expected the index of {place} signed by {key}, got one that is not; ask who keeps that zoo "
            "before you pull from it"
        ) from error


def _signed_bytes(values: dict[str, Any]) -> bytes:
    return CONTEXT + strict_json.encode_json({k: v for k, v in values.items() if k != "signature"})


def _read_key_file(path: Path) -> bytes:
    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        raise ManifestError(f"expected a key at {path}, got: {error.strerror}") from error


def _load_private_key(path: Path) -> "Ed25519PrivateKey":
    _require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    data = _read_key_file(path)
    load = load_ssh_private_key if b"OPENSSH PRIVATE KEY" in data else load_pem_private_key
    try:
        key = load(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ManifestError(
            f"expected an Ed25519 private key without a passphrase at {path}, got: {error}; "
            f"ssh-keygen -t ed25519 -N '' -f {path} makes one"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ManifestError(f"expected an Ed25519 key at {path}, got one of another kind")
    return key


def _parse_public_key(text: str, place: str) -> "Ed25519PublicKey":
    _require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    try:
        key = load_ssh_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        key = None
        reason = f"got: {error}"
    else:
        reason = "got one of another kind"
    if not isinstance(key, Ed25519PublicKey):
        raise ManifestError(f"expected a public key such as 'ssh-ed25519 AAAA...' for {place}, {reason}")
    return key


def _format_public_key(key: "Ed25519PublicKey") -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _require_cryptography() -> None:
    try:
        import cryptography  # noqa: F401  # not in the base: only who signs, or asks for it, needs it
    except ImportError as error:
        raise ZooError("signatures need cryptography: pip install 'tunable-zoo[signatures]'") from error
