"""The newest index that was seen of each signed zoo, so that nobody passes off an old one for it.

In ``serials.json`` in the user's configuration folder, which no pruning of caches touches.
"""

import os
from pathlib import Path

from filelock import FileLock
from platformdirs import user_config_path

from zoo import strict_json
from zoo.durable import replace_file
from zoo.errors import FetchError, IntegrityError

CONFIG_VARIABLE = "TUNABLE_ZOO_CONFIG"


def config_root() -> Path:
    """The folder of the zoo's configuration: ``$TUNABLE_ZOO_CONFIG``, or the platform's for this user."""
    chosen = os.environ.get(CONFIG_VARIABLE)
    return Path(chosen) if chosen else user_config_path("tunable-zoo")


def refuse_older(url: str, serial: int) -> None:
    """Remember how often a signed index was written, and refuse one that was written less often.

    Raises:
        IntegrityError: a newer one was seen.
        ManifestError: what is remembered is damaged.
        FetchError: nothing can be remembered, as nothing can be written there.
    """
    path = config_root() / "serials.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(".serials.lock")):
            seen = strict_json.read_json(path) if path.exists() else {}
            last = seen.get(url, 0)
            if serial > last:
                replace_file(path, strict_json.encode_json({**seen, url: serial}))
    except OSError as error:
        raise FetchError(
            f"expected to write into {path.parent}, where what was seen of signed zoos is remembered, got: "
            f"{error.strerror}; name another folder by {CONFIG_VARIABLE}"
        ) from error
    if serial < last:
        raise IntegrityError(
            f"expected the index of {url} that was written {last} times or more, got one of {serial} times; "
            "ask who keeps that zoo before you pull from it"
        )
