"""The home folder, and the token that opens a Ray cluster.

Where tokens are looked for, and in which order: https://docs.ray.io/en/latest/ray-security/token-auth.html.
"""

import os
import stat
from pathlib import Path
from tempfile import TemporaryFile

from pipelines.doctor.finding import About, Finding

ABOUT = About("home")
MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


def home() -> list[Finding]:
    """Whether a file can be made in the home folder, as caches of libraries are."""
    remedy = f"export HOME=/a/folder/of/yours, and {TOKEN_PATH} for a cluster that asks for a token"
    try:
        folder = Path.home()
        with TemporaryFile(dir=folder):
            pass
    except RuntimeError:
        return [ABOUT.warning("this user has no home folder", remedy)]
    except OSError as error:
        return [ABOUT.warning(f"cannot write in the home folder: {error.strerror}: {folder}", remedy)]
    return [ABOUT.ok(f"{folder} can be written")]


def token(address: str | None) -> list[Finding]:
    """Where Ray's token comes from, whether it is used, and whether others can read it.

    Args:
        address: of a cluster that is to be joined; a private one gets a token of its own.
    """
    files = [path for path in (_named(), _default()) if path is not None]
    found = [finding for path in files for finding in _readable(path)]
    named = _named()
    if named is not None and not named.is_file():
        remedy = f"put the cluster's token there, or unset {TOKEN_PATH}"
        return [*found, ABOUT.fault(f"{TOKEN_PATH} names {named}, which is no file", remedy)]
    if address is None:
        return found
    return found + _used(bool(os.environ.get(TOKEN)) or any(path.is_file() for path in files))


def _used(at_hand: bool) -> list[Finding]:
    # To a cluster that is named Ray sends no token unless it is told to.
    told = os.environ.get(MODE, "").lower() == "token"
    if told and at_hand:
        return [ABOUT.ok("the cluster gets Ray's token")]
    if told:
        remedy = f"export {TOKEN_PATH}=/a/file, mode 0600, with the head's token"
        return [ABOUT.fault(f"{MODE} is token, and there is none", remedy)]
    remedy = f"if the cluster asks for one: export {MODE}=token {TOKEN_PATH}=/a/file, with the head's token"
    return [ABOUT.warning(f"the cluster gets no token: {MODE} is not token", remedy)]


def _named() -> Path | None:
    name = os.environ.get(TOKEN_PATH)
    return Path(name).expanduser() if name else None


def _default() -> Path | None:
    try:
        return Path.home() / ".ray" / "auth_token"
    except RuntimeError:
        return None


def _readable(path: Path) -> list[Finding]:
    if not path.is_file():
        return []
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        # Ray itself writes it so, and whoever has it can run code on the cluster.
        return [ABOUT.warning(f"{path} has mode {mode:04o}: others here can use it", f"chmod 600 {path}")]
    return [ABOUT.ok(f"{path} is yours alone")]
